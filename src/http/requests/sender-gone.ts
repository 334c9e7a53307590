/** The sender has hung up before all of the request was here. That is no fault, and no answer is read any more. */
export class SenderGone extends Error {
  override readonly name = "SenderGone";

  constructor(cause?: unknown) {
    super("the sender has gone", cause === undefined ? undefined : { cause });
  }
}

/** The codes by which the steps of the streams of Node tell that the other end has gone. */
const abortCodes = new Set<unknown>(["ABORT_ERR", "ERR_STREAM_PREMATURE_CLOSE"]);
const maxDepth = 5;

/** Does the error come of it, by itself or as the cause of another? It says so only of a request that was left. */
export function isOfGoneSender(error: unknown): boolean {
  let current = error;
  for (let depth = 0; depth < maxDepth && current instanceof Error; depth += 1) {
    if (current instanceof SenderGone || current.name === "AbortError") return true;
    if ("code" in current && abortCodes.has(current.code)) return true;
    current = current.cause;
  }
  return false;
}
