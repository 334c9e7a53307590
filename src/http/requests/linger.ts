import type { IncomingMessage } from "node:http";

/** The time to read the answer for a sender that is still sending its body, ms. */
const lingerMs = 5_000;

/**
 * Throws the rest of a body away for some seconds, where the request was answered before all of it came. Closing at once
 * would reset the connection, and the answer might be lost with it. Reading for ever would serve senders that never stop.
 */
export function linger(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  const stop = () => clearTimeout(timer);
  request.once("end", stop).once("close", stop);
  socket.once("close", stop);
  request.unpipe();
  request.resume();
}

/**
 * Throws the rest of a body away before its request is answered, for a sender that does not look for an answer while it sends, as most
 * do not. Resolves at its end, when the sender goes, or after `ms`.
 */
export async function drain(request: IncomingMessage, ms: number): Promise<void> {
  if (request.complete || request.destroyed) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    const stop = () => {
      clearTimeout(timer);
      resolve();
    };
    request.once("end", stop).once("close", stop);
    request.unpipe();
    request.resume();
  });
}
