import { once } from "node:events";
import { request, type IncomingMessage, type IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";

/** An answer that was read to its end. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Each header `WWW-Authenticate`, in their order. */
  readonly challenges: readonly string[];
  readonly body: Buffer;
  readonly text: string;
  /** The body as JSON. */
  json(): Record<string, unknown>;
}

export interface ApiCall {
  readonly method?: string;
  /** Sent as the bearer token. */
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Sent as JSON, with its content type. */
  readonly json?: unknown;
  /** Sent as it is; a stream in chunks. */
  readonly body?: string | Buffer | Readable | undefined;
  /** An answer that takes longer fails the test: nothing may hang. Default: 20 s. */
  readonly deadlineMs?: number;
}

/** A request to an API; node's client, since `fetch` would correct what is to be wrong. */
export async function callApi(url: string, path: string, call: ApiCall = {}): Promise<ApiAnswer> {
  const response = await openCall(url, path, call);
  return toAnswer(response, await readBody(response));
}

/**
 * The same, for an answer that is read bit by bit: resolves with its head. Whoever destroys it has hung up.
 * Rejects when the connection breaks before there is an answer.
 */
export async function openCall(url: string, path: string, call: ApiCall = {}): Promise<IncomingMessage> {
  const { method = "GET", key, json, deadlineMs = 20_000 } = call;
  const body = json === undefined ? call.body : JSON.stringify(json);
  const sent = request(new URL(url), {
    path,
    method,
    agent: false,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(json !== undefined && { "content-type": "application/json" }),
      ...(typeof body === "string" && { "content-length": Buffer.byteLength(body) }),
      ...(Buffer.isBuffer(body) && { "content-length": body.length }),
      ...(call.headers as Record<string, string | string[]> | undefined),
    },
  });
  const deadline = setTimeout(() => {
    sent.destroy(new Error(`${method} ${path.slice(0, 200)} was not answered within ${deadlineMs} ms`));
  }, deadlineMs);
  sent.once("close", () => clearTimeout(deadline));
  const answered = once(sent, "response") as Promise<[IncomingMessage]>;
  // An error after the answer has begun is the answer's: a server may answer before it has read all.
  sent.on("error", () => undefined);
  if (body instanceof Readable) {
    body.on("error", (error) => sent.destroy(error));
    body.pipe(sent);
  } else sent.end(body);
  const [response] = await answered;
  return response;
}

/** All that is left of an answer. Rejects when it is cut off. */
export async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What comes until the pattern is found in it, or the end. Then it hangs up. */
export async function readUntil(response: IncomingMessage, pattern: RegExp): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    if (pattern.test(Buffer.concat(chunks).toString())) break;
  }
  response.destroy();
  return Buffer.concat(chunks);
}

export function toAnswer(response: IncomingMessage, body: Buffer): ApiAnswer {
  const text = body.toString();
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    challenges: response.headersDistinct["www-authenticate"] ?? [],
    body,
    text,
    json: () => JSON.parse(text) as Record<string, unknown>,
  };
}
