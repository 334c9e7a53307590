import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Closer } from "../../src/lib/closing/closer.ts";

/** What one receiver has taken: the version of each change, and when it came, ms of `performance.now()`. */
export interface BenchReceiver {
  readonly url: string;
  readonly arrivals: ReadonlyMap<string, number>;
  /** Requests that came more than once for a version. */
  readonly repeats: () => number;
}

/** Answers at once with 204. */
export async function openReceiver(closer: Closer): Promise<BenchReceiver> {
  const arrivals = new Map<string, number>();
  let repeated = 0;
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (piece: string) => void (body += piece));
    request.on("end", () => {
      const { data } = JSON.parse(body) as { data: { version: string } };
      if (arrivals.has(data.version)) repeated += 1;
      else arrivals.set(data.version, performance.now());
      response.writeHead(204).end();
    });
  });
  return { url: await listen(server, closer), arrivals, repeats: () => repeated };
}

/** Takes requests and never answers. */
export async function openDeadReceiver(closer: Closer): Promise<string> {
  return listen(
    createServer(() => undefined),
    closer,
  );
}

async function listen(server: Server, closer: Closer): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closer.add("receiver", () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
