import { once } from "node:events";
import { STATUS_CODES, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { UserError } from "../lib/errors.ts";
import type { Api } from "./create-api.ts";
import { cutSlowReaders, type ReadingPace } from "./answers/cut-slow-readers.ts";
import { ApiError, problemType } from "./answers/problem.ts";
import { toRequestId } from "./requests/request-id.ts";

export interface ApiServer {
  readonly port: number;
  /** The address at which this machine reaches the API, without a slash at its end. */
  readonly url: string;
  /**
   * Takes no new connections, and ends at once what waits for something. All other requests end by themselves; those that are
   * left after `graceMs` are cut. Idle connections are closed. Twice is harmless: the first call counts.
   */
  stop(graceMs: number): Promise<void>;
}

export interface ApiServerOptions {
  /** The API, which is closed with the server. */
  readonly api: Api;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Told of a connection that could not be taken, for want of file descriptors, say. The server goes on listening. */
  readonly onError: (error: Error) => void;
  /** The pace at which an answer must be read, averaged over the span. */
  readonly reading?: ReadingPace;
}

/** Far slower than any line, but fast enough for a download, whose transaction is open meanwhile, to have an end. */
const defaultReading: ReadingPace = { spanMs: 60_000, leastBytesPerSecond: 32 * 1024 };

/** While it stops, how often it looks for connections without a request. */
const lookMs = 250;

/**
 * Serves the API.
 * @throws UserError `api-unavailable` where it cannot listen
 */
export async function serveApi({
  api,
  host,
  port,
  onError,
  reading = defaultReading,
}: ApiServerOptions): Promise<ApiServer> {
  const { server } = api;
  const connections = watchConnections(server);
  answerMalformed(server, connections);
  await listen(api, host, port);
  server.on("error", onError);
  const stopWatching = cutSlowReaders(connections.sockets, reading);

  async function stopNow(graceMs: number): Promise<void> {
    const letGo = closeWithin(server, connections, graceMs);
    try {
      await api.close();
    } finally {
      stopWatching();
      letGo();
    }
  }

  const address = server.address() as AddressInfo;
  let stopped: Promise<void> | undefined;
  return {
    port: address.port,
    url: toUrl(address),
    stop: (graceMs) => (stopped ??= stopNow(graceMs)),
  };
}

/** The connections of the server at the moment. */
interface Connections {
  readonly sockets: Set<Socket>;
  readonly responses: Set<ServerResponse>;
}

function watchConnections(server: Server): Connections {
  const connections: Connections = { sockets: new Set(), responses: new Set() };
  const { sockets, responses } = connections;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // The listener comes before that of Fastify, which may answer at once.
  server.prependListener("request", (_request, response) => {
    responses.add(response);
    response.once("close", () => responses.delete(response));
  });
  // Node takes a response for done when it is ended, and would cut what its reader has not fetched yet.
  const closeIdle = server.closeIdleConnections.bind(server);
  server.closeIdleConnections = () => {
    if (![...responses].some(({ writableEnded }) => writableEnded)) closeIdle();
  };
  return connections;
}

/** Answers what is not understood as a request, and expectations: neither gets to Fastify. */
function answerMalformed(server: Server, { responses }: Connections): void {
  // Expectations other than 100-continue mean nothing: they are not met, and do no harm. Node sees to that one.
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  server.removeAllListeners("clientError");
  server.on("clientError", (error: NodeJS.ErrnoException, stream) => {
    const socket = stream as Socket;
    const current = [...responses].find((response) => response.socket === socket);
    // A second answer, or the answer to another request, would be worse than none.
    const isTaken = current !== undefined && (current.headersSent || current.req.complete);
    if (isTaken || !socket.writable || error.code === "ECONNRESET") socket.destroy();
    else socket.end(toRawAnswer(error, server.headersTimeout), () => socket.destroy());
  });
}

async function listen(api: Api, host: string, port: number): Promise<void> {
  const { server } = api;
  // Fastify does not listen itself: it would make two servers of `localhost`, and stop only one of them like this.
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    await api.close();
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown cause";
    throw new UserError(
      "api-unavailable",
      `PORT: cannot listen on port ${port} of ${host} (${code}): choose another port, or check HOST`,
      { cause },
    );
  }
}

/** Lets no connection wait for a next request, and cuts all after `graceMs`. Returns what ends that. */
function closeWithin(server: Server, connections: Connections, graceMs: number): () => void {
  const { sockets, responses } = connections;
  for (const response of responses) if (!response.headersSent) response.shouldKeepAlive = false;
  const look = setInterval(() => {
    // Node takes a connection on which nothing has come yet for one that is busy.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    server.closeIdleConnections();
  }, lookMs);
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, graceMs);
  return () => {
    clearInterval(look);
    clearTimeout(cut);
  };
}

function toUrl({ address, family, port }: AddressInfo): string {
  const reachable = { "0.0.0.0": "127.0.0.1", "::": "::1" }[address] ?? address;
  return `http://${family === "IPv6" ? `[${reachable}]` : reachable}:${port}`;
}

/** The answer to what is not understood as a request, byte by byte. */
function toRawAnswer({ code }: NodeJS.ErrnoException, headersTimeoutMs: number): string {
  const requestId = toRequestId(undefined);
  const problem = toMalformed(code, headersTimeoutMs).toProblem(requestId);
  const body = JSON.stringify(problem);
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `content-type: ${problemType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    "connection: close",
    "",
    body,
  ].join("\r\n");
}

function toMalformed(code: string | undefined, headersTimeoutMs: number): ApiError {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new ApiError("request-timeout", `the headers took longer than ${headersTimeoutMs / 1000} s`);
    case "HPE_HEADER_OVERFLOW":
      return new ApiError("invalid-request", "the headers are too large");
    default:
      return new ApiError("invalid-request", "this is not a correct HTTP/1.1 request");
  }
}
