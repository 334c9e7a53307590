import { connect, createServer, type Socket } from "node:net";
import { standBefore } from "./stand-before.ts";

/**
 * `before`: the commit does not arrive. `after`: it does, and its answer does not. `half-open`: the commit does not arrive,
 * and the server does not notice that its client is gone. `none`: this commit is let through.
 */
export type Cut = "before" | "after" | "half-open" | "none";

export interface CommitCutter {
  /** Of the same database, through the cutter. */
  readonly url: string;
  /** Loses the connection of the next commits, in this way each. */
  cut(...cuts: Cut[]): void;
  /** Those of `cut` that no commit has met yet. */
  countLeft(): number;
  close(): Promise<void>;
}

/** Stands between a client and Postgres, and loses connections at the worst moment. */
export async function openCommitCutter(databaseUrl: string): Promise<CommitCutter> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const cuts: Cut[] = [];
  const commit = Buffer.from("commit\0");

  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let isCut = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("data", (bytes) => {
      const cut = bytes.includes(commit) ? cuts.shift() : undefined;
      if (cut === undefined || cut === "none") return void upstream.write(bytes);
      isCut = true;
      if (cut === "after") upstream.write(bytes);
      if (cut === "before") upstream.destroy();
      // Its answer shows that the commit is done.
      if (cut === "after") upstream.once("data", () => client.destroy());
      else client.destroy();
    });
    upstream.on("data", (bytes) => {
      if (!isCut) client.write(bytes);
    });
    client.on("close", () => {
      if (!isCut) upstream.destroy();
    });
    upstream.on("close", () => client.destroy());
  });
  return {
    ...(await standBefore(databaseUrl, { server, sockets })),
    cut: (...next) => void cuts.push(...next),
    countLeft: () => cuts.length,
  };
}
