import { ApiProblem } from "./api-problem.ts";

/**
 * The JSON of an answer, of the shape that the document gives it.
 * @throws ApiProblem `unexpected-answer` where it is none, and what fetch throws for a connection that breaks
 */
export async function readJson<Shape>(response: Response): Promise<Shape> {
  const text = await response.text();
  try {
    return JSON.parse(text) as Shape;
  } catch {
    throw new ApiProblem({
      status: response.status,
      code: "unexpected-answer",
      detail: "an answer that is not JSON: is baseUrl the API's?",
    });
  }
}

/**
 * The text of an answer as it arrives. A reader that leaves closes the connection.
 * @param silenceMs a connection on which nothing comes for so long counts as gone
 * @throws ApiProblem `no-answer` when the connection breaks; the reason of `signal`, which must be that of the request
 */
export async function* readText(
  { body }: Response,
  silenceMs: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  if (!body) return;
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await readWithin(reader, silenceMs, signal);
      if (done) break;
      const text = decoder.decode(value, { stream: true });
      if (text !== "") yield text;
    }
    const rest = decoder.decode();
    if (rest !== "") yield rest;
  } finally {
    // No reader waits for it: the connection may be gone.
    reader.cancel().catch(() => undefined);
  }
}

async function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  silenceMs: number,
  signal: AbortSignal | undefined,
) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    const detail = `nothing came for ${silenceMs / 1000} s: the connection counts as gone`;
    timer = setTimeout(() => reject(new ApiProblem({ status: 0, code: "timed-out", detail })), silenceMs);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof ApiProblem) throw cause;
    const detail = "the connection broke before the end";
    throw new ApiProblem({ status: 0, code: "no-answer", detail, cause });
  } finally {
    clearTimeout(timer);
  }
}

/** The lines of a text, without their ends; blank ones are left out. */
export async function* readLines(chunks: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield line;
  }
  if (rest.trim() !== "") yield rest;
}
