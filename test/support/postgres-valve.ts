import { connect, createServer, type Socket } from "node:net";
import { join, standBefore } from "./stand-before.ts";

/** A way to Postgres that can be shut. */
export interface PostgresValve {
  /** Of the same database, through the valve. */
  readonly url: string;
  /** `open`, as at the start. `frozen`: nothing passes any more, and nobody is told. `away`: nobody listens. */
  set(state: "open" | "frozen" | "away"): void;
  /** New connections go to this server from now on: one that was started again may have another port. */
  pointTo(databaseUrl: string): void;
  close(): Promise<void>;
}

/** Stands between a client and Postgres. */
export async function openPostgresValve(databaseUrl: string): Promise<PostgresValve> {
  let target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let state: "open" | "frozen" | "away" = "open";

  const server = createServer((client) => {
    if (state === "away") return void client.destroy();
    const upstream = connect(Number(target.port || 5432), target.hostname);
    join(client, upstream, sockets);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      from.on("data", (bytes) => {
        if (state === "open") to.write(bytes);
      });
  });
  return {
    ...(await standBefore(databaseUrl, { server, sockets })),
    set(next) {
      // What was swallowed leaves a connection that nobody can use.
      if (next !== "frozen") for (const socket of sockets) socket.destroy();
      state = next;
    },
    pointTo(databaseUrl) {
      target = new URL(databaseUrl);
    },
  };
}
