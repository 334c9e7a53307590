import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

/** A request as it came. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Empty where it was answered before it was read. */
  readonly body: string;
}

export type Reply = (response: ServerResponse, request: SeenRequest) => void;

export interface FlawedServer {
  readonly url: string;
  readonly requests: SeenRequest[];
  /** The next requests are answered so, one by one; those beyond are a fault of the test. */
  script(...replies: readonly Reply[]): void;
  close(): Promise<void>;
}

/** A server that does what it is told, request by request. */
export async function openFlawedServer(): Promise<FlawedServer> {
  const requests: SeenRequest[] = [];
  const replies: Reply[] = [];
  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    const reply = replies.shift() ?? sendJson(501, { code: "not-scripted", detail: "not scripted" });
    const take = (body: string) => {
      const seen = { method, url, headers, body };
      requests.push(seen);
      reply(response, seen);
    };
    if (isUnread.has(reply)) take("");
    else text(request).then(take, () => take("cut off"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    script(...next) {
      requests.length = 0;
      replies.splice(0, replies.length, ...next);
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

const isUnread = new WeakSet<Reply>();

/** Answers before the body is read. */
export function unread(reply: Reply): Reply {
  const early: Reply = (response, request) => reply(response, request);
  isUnread.add(early);
  return early;
}

export function sendJson(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  };
}

export function sendProblem(
  status: number,
  code: string,
  more: { readonly retryAfter?: string; readonly [field: string]: unknown } = {},
): Reply {
  const { retryAfter, ...fields } = more;
  return sendJson(
    status,
    { status, code, detail: `about ${code}`, ...fields },
    {
      "content-type": "application/problem+json",
      "x-request-id": "request-1",
      ...(retryAfter !== undefined && { "retry-after": retryAfter }),
    },
  );
}

/** The connection breaks without an answer. */
export const cutOff: Reply = (response) => void response.destroy();

/** Nothing ever comes. */
export const saySilence: Reply = () => undefined;
