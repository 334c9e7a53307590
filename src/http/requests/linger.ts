import type { IncomingMessage } from "node:http";

/** For whoever is still sending a body when the answer is out: time to read the answer. */
const lingerMs = 5_000;

/**
 * The request was answered before all of its body had come. Closing at once would reset the connection, and the answer might
 * be lost with it; reading for ever would serve whoever never stops. So the rest is thrown away for some seconds.
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
