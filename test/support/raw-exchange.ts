import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A connection on which anything may be sent. */
export async function connectRaw(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  // A reset is an end like others.
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Sends the bytes, and nothing more; resolves with all that comes back until the other side closes. */
export async function exchangeRaw(url: string, bytes: string | Buffer): Promise<string> {
  const socket = await connectRaw(url);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
  const closed = once(socket, "close");
  socket.end(bytes);
  await closed;
  return Buffer.concat(chunks).toString("latin1");
}
