import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that a receiver got. */
export interface Received {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly answered: number;
}

/** Answers a request by a status, or by itself; undefined of a function that never ends: it hangs. */
export type Answering = (
  request: Omit<Received, "answered">,
  response: ServerResponse,
) => number | Promise<number | undefined> | undefined;

/** A receiver of webhooks on a port of its own. */
export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** All that was received and taken. */
  taken(): Received[];
  /** From now on; 204 unless told. */
  answer(answering: Answering): void;
  close(): Promise<void>;
}

export async function openReceiver(): Promise<Receiver> {
  let answering: Answering = takeAll;
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void take(request, response).catch(() => response.destroy());
  });

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces).toString();
    const { type, data } = JSON.parse(body) as Pick<Received, "type" | "data">;
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const got = { path: request.url ?? "", headers, body, type, data };
    const status = await answering(got, response);
    received.push({ ...got, answered: status ?? 0 });
    if (status !== undefined && !response.headersSent) response.writeHead(status).end();
  }

  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    taken: () => received.filter(({ answered }) => answered >= 200 && answered < 300),
    answer(next) {
      answering = next;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

function takeAll(): number {
  return 204;
}
