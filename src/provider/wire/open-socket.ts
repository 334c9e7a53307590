import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";

/** Opens connections to one origin. */
export interface SocketOpener {
  /** For the request: with the port where it is not the scheme's own. */
  readonly host: string;
  /** Opens a connection. `onBytes` is told what comes, in a buffer whose bytes are gone when it returns. */
  open(onBytes: (bytes: Buffer) => void): OpeningSocket;
}

export interface OpeningSocket {
  readonly socket: Socket;
  /** The event that tells that it is open. */
  readonly openEvent: "connect" | "secureConnect";
}

/** Seen by the system only, as undici and Node have it. */
const probeAfterMs = 60_000;

/**
 * @param readBuffer shared by all connections: what they read is taken out of it at once
 * @throws TypeError where `origin` is none of http or https
 */
export function createSocketOpener(origin: string, readBuffer: Uint8Array): SocketOpener {
  const { protocol, hostname, host, port } = new URL(origin);
  if (protocol !== "http:" && protocol !== "https:")
    throw new TypeError("the URL is not one of http or https");
  const isSecure = protocol === "https:";
  const name = hostname.replace(/^\[|\]$/g, "");
  /** The latest, so that a new connection need not begin from nothing. */
  let session: Buffer | undefined;

  return {
    host,
    open(onBytes) {
      const onread = {
        buffer: readBuffer,
        callback(length: number, buffer: Uint8Array) {
          onBytes(Buffer.from(buffer.buffer, buffer.byteOffset, length));
          return true;
        },
      };
      const address = { host: name, port: Number(port) || (isSecure ? 443 : 80), onread };
      const socket = isSecure
        ? connectSecure({
            ...address,
            ALPNProtocols: ["http/1.1"],
            ...(isIP(name) === 0 && { servername: name }),
            ...(session && { session }),
          }).on("session", (latest: Buffer) => (session = latest))
        : connectPlain(address);
      socket.setNoDelay(true).setKeepAlive(true, probeAfterMs);
      return { socket, openEvent: isSecure ? "secureConnect" : "connect" };
    },
  };
}
