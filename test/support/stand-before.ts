import { once } from "node:events";
import type { Server, Socket } from "node:net";

/**
 * Listens on a free port of the loopback, in place of a Postgres. Returns its URL by that port, and what ends it with all
 * connections of `sockets`.
 */
export async function standBefore(
  databaseUrl: string,
  { server, sockets }: { server: Server; sockets: ReadonlySet<Socket> },
): Promise<{ url: string; close(): Promise<void> }> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(address.port);
  return {
    url: url.href,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Ends each of two sockets with the other one, and keeps them among `sockets` as long as they are open. */
export function join(client: Socket, upstream: Socket, sockets: Set<Socket>): void {
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    sockets.add(from);
    from.on("error", () => undefined);
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  }
}
