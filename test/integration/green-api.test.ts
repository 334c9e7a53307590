import { EventEmitter, once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, describe, expect, test } from "vitest";

import { parseChatId } from "../../src/domain/chat-id.ts";
import type { InstanceCredentials } from "../../src/domain/outcome.ts";
import { createGreenApi, type GreenApi, type GreenApiOptions } from "../../src/provider/green-api.ts";
import { createOriginPools } from "../../src/provider/wire/origin-pools.ts";

const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const parsed = parseChatId("79001234567@c.us");
if (!parsed.ok) throw new Error(parsed.reason);
const { chatId } = parsed;
const avatar = { urlAvatar: "https://pps.whatsapp.net/v/a.jpg?oe=66041D5F", available: true };

interface SeenRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** A provider that answers with `listener`, on a port of its own. */
async function openServer(listener: RequestListener) {
  const server = createServer(listener);
  let sockets = 0;
  server.on("connection", () => sockets++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  closers.push(close);
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, close, countSockets: () => sockets };
}

function openApi(options: Partial<GreenApiOptions> = {}): GreenApi {
  const api = createGreenApi({ callTimeoutMs: 60_000, ...options });
  closers.push(() => api.close());
  return api;
}

function toInstance(apiUrl: string): InstanceCredentials {
  return { instanceId: "1101000001", apiUrl, token };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

async function read(request: IncomingMessage): Promise<SeenRequest> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  return { method: request.method, url: request.url, headers: request.headers, body };
}

describe("a call", () => {
  test.each([
    ["", ""],
    ["/", ""],
    ["/green/api/", "/green/api"],
    ["//", ""],
  ])("goes to the instance's own URL, also with %j at its end", async (suffix, prefix) => {
    const requests: Promise<SeenRequest>[] = [];
    const server = await openServer((request, response) => {
      requests.push(read(request));
      answer(response, 200, avatar);
    });
    const lookup = await openApi().getAvatar(toInstance(server.origin + suffix), chatId);

    expect(lookup.outcome).toMatchObject({ kind: "present", url: avatar.urlAvatar, version: "/v/a.jpg" });
    expect(lookup.tookMs).toBeGreaterThan(0);
    const request = await requests[0];
    expect(request).toMatchObject({
      method: "POST",
      url: `${prefix}/waInstance1101000001/getAvatar/${token}`,
      headers: { "content-type": "application/json" },
    });
    expect(JSON.parse(request?.body ?? "")).toEqual({ chatId });
  });

  test("encodes what stands in its path", async () => {
    let url: string | undefined;
    const server = await openServer((request, response) => {
      url = request.url;
      answer(response, 200, avatar);
    });
    await openApi().getAvatar({ instanceId: "1/2", apiUrl: server.origin, token: "a/b?c#d" }, chatId);
    expect(url).toBe("/waInstance1%2F2/getAvatar/a%2Fb%3Fc%23d");
  });

  test("one after the other share their connections", async () => {
    const server = await openServer((_, response) => answer(response, 200, avatar));
    const api = openApi();
    for (let call = 0; call < 20; call++) await api.getAvatar(toInstance(server.origin), chatId);
    // undici sets a connection free just after it hands out the body, so that the next call may open a second.
    expect(server.countSockets()).toBeLessThanOrEqual(2);
  });

  test("at the same time have a connection each, up to the limit", async () => {
    const held: ServerResponse[] = [];
    const server = await openServer((_, response) => {
      held.push(response);
      if (held.length >= 3) for (const one of held) if (!one.writableEnded) answer(one, 200, avatar);
    });
    const api = openApi({ maxConnectionsPerOrigin: 3 });
    const calls = Array.from({ length: 6 }, () => api.getAvatar(toInstance(server.origin), chatId));
    const kinds = (await Promise.all(calls)).map(({ outcome }) => outcome.kind);
    expect(kinds).toEqual(Array.from({ length: 6 }, () => "present"));
    expect(server.countSockets()).toBe(3);
  });

  test("passes Retry-After on", async () => {
    const server = await openServer((_, response) => {
      response.writeHead(429, { "Retry-After": "3" }).end();
    });
    const { outcome } = await openApi().getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toEqual({ kind: "throttled", scope: "instance", retryAfterMs: 3_000, by: "provider" });
  });
});

describe("a fault of the network is an outcome", () => {
  test("nobody listens", async () => {
    const server = await openServer(() => undefined);
    await server.close();
    const { outcome } = await openApi().getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toEqual({ kind: "network-error", scope: "call", code: "ECONNREFUSED" });
  });

  test("no such host", async () => {
    const { outcome } = await openApi().getAvatar(toInstance("http://provider.invalid"), chatId);
    expect(outcome).toMatchObject({
      kind: "network-error",
      code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) as string,
    });
  });

  test("not TLS", async () => {
    const server = await openServer(() => undefined);
    const apiUrl = server.origin.replace("http:", "https:");
    const { outcome } = await openApi().getAvatar(toInstance(apiUrl), chatId);
    expect(outcome).toMatchObject({
      kind: "network-error",
      code: expect.stringMatching(/^(ERR_SSL|EPROTO|ECONNRESET)/) as string,
    });
  });

  test.each(["not a url", "file:///tmp", "ftp://127.0.0.1"])("a URL that is none: %s", async (apiUrl) => {
    const { outcome } = await openApi().getAvatar(toInstance(apiUrl), chatId);
    expect(outcome).toMatchObject({ kind: "network-error", scope: "call" });
    expect(JSON.stringify(outcome)).not.toContain(token);
  });

  test("the connection is reset before the answer", async () => {
    const server = await openServer((request) => request.socket.resetAndDestroy());
    const { outcome } = await openApi().getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toMatchObject({ kind: "network-error", scope: "call" });
  });

  test("the connection is cut in the middle of the body", async () => {
    const server = await openServer((request, response) => {
      response.writeHead(200, { "content-length": 1_000 });
      response.write('{"urlAvatar":"","available":true}', () => request.socket.destroy());
    });
    const { outcome } = await openApi().getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toEqual({ kind: "network-error", scope: "call", code: "UND_ERR_SOCKET" });
  });

  test("something else than HTTP answers", async () => {
    const server = await openServer((request) => request.socket.end("SSH-2.0-OpenSSH_9.6\r\n"));
    const { outcome } = await openApi().getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toMatchObject({
      kind: "network-error",
      code: expect.stringMatching(/^(HPE_|UND_ERR_HTTP_PARSER$)/) as string,
    });
  });
});

describe("the deadline of a call", () => {
  const deadline = { kind: "deadline", scope: "call", afterMs: 100 };

  test("ends it while the answer is awaited", async () => {
    const server = await openServer(() => undefined);
    const { outcome } = await openApi({ callTimeoutMs: 100 }).getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toEqual(deadline);
  });

  test("ends it in the middle of the body", async () => {
    const server = await openServer((_, response) => {
      response.writeHead(200);
      response.write('{"urlAvatar":');
    });
    const { outcome } = await openApi({ callTimeoutMs: 100 }).getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toEqual(deadline);
  });

  test("ends it while it waits for a connection", async () => {
    const server = await openServer(() => undefined);
    const api = openApi({ callTimeoutMs: 100, maxConnectionsPerOrigin: 1 });
    const calls = [1, 2, 3].map(() => api.getAvatar(toInstance(server.origin), chatId));
    expect((await Promise.all(calls)).map(({ outcome }) => outcome)).toEqual([deadline, deadline, deadline]);
  });
});

describe("the caller's signal", () => {
  const aborted = { kind: "network-error", scope: "call", code: "ABORTED" };

  test("ends a call in flight", async () => {
    const controller = new AbortController();
    const server = await openServer(() => controller.abort());
    const { signal } = controller;
    const lookup = await openApi().getAvatar(toInstance(server.origin), chatId, { signal });
    expect(lookup.outcome).toEqual(aborted);
  });

  test("makes no call when it is aborted before", async () => {
    const server = await openServer((_, response) => answer(response, 200, avatar));
    const signal = AbortSignal.abort();
    const lookup = await openApi().getAvatar(toInstance(server.origin), chatId, { signal });
    expect(lookup.outcome).toEqual({ kind: "not-sent" });
    expect(server.countSockets()).toBe(0);
  });
});

describe("a body over the limit", () => {
  test.each([true, false])("is not read to its end (length told: %s)", async (isLengthTold) => {
    const server = await openServer((request, response) => {
      response.writeHead(200, isLengthTold ? { "content-length": 1e9 } : {});
      const write = (): void => {
        if (!request.socket.destroyed) response.write("x".repeat(16_384), write);
      };
      write();
    });
    const { outcome } = await openApi({ maxBodyBytes: 100_000 }).getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toMatchObject({ kind: "unclear", status: 200, excerpt: "body over the size limit" });
  });

  test("leaves the status its word", async () => {
    const server = await openServer((_, response) => answer(response, 401, "x".repeat(1_000)));
    const { outcome } = await openApi({ maxBodyBytes: 100 }).getAvatar(toInstance(server.origin), chatId);
    expect(outcome).toEqual({ kind: "unauthorized", scope: "instance", status: 401 });
  });
});

test("a redirect is not followed", async () => {
  let calls = 0;
  const server = await openServer((_, response) => {
    calls++;
    response.writeHead(307, { location: "/elsewhere" }).end();
  });
  const { outcome } = await openApi().getAvatar(toInstance(server.origin), chatId);
  expect(outcome).toMatchObject({ kind: "unclear", status: 307 });
  expect(calls).toBe(1);
});

test.each([200, 302, 400, 404, 418, 466, 500])(
  "a %i that echoes the token gives a lookup without it",
  async (status) => {
    const server = await openServer((request, response) => {
      answer(response, status, { statusCode: status, path: request.url, message: `no ${request.url}` });
    });
    const lookup = await openApi().getAvatar(toInstance(server.origin), chatId);
    expect(JSON.stringify(lookup)).not.toContain(token.slice(0, 8));
  },
);

test("connections to hosts that are no longer used do not pile up", async () => {
  const pools = createOriginPools({});
  const first = pools.get("http://127.0.0.1:1");
  const second = pools.get("http://127.0.0.1:2");
  for (let port = 3; port <= 257; port++) {
    expect(pools.get("http://127.0.0.1:1")).toBe(first);
    pools.get(`http://127.0.0.1:${port}`);
  }
  expect([first.closed, second.closed]).toEqual([false, true]);
  await pools.close();
  expect(first.closed).toBe(true);
});

describe("close", () => {
  test("twice is harmless, also without any call", async () => {
    const api = openApi();
    await api.close();
    await api.close();
  });

  test("waits for the calls in flight, and takes no more", async () => {
    const requests = new EventEmitter();
    const server = await openServer((_, response) => void requests.emit("request", response));
    const api = openApi();
    const received = once(requests, "request") as Promise<[ServerResponse]>;
    const first = api.getAvatar(toInstance(server.origin), chatId);
    const [response] = await received;
    const closing = Promise.all([api.close(), api.close()]);
    const second = await api.getAvatar(toInstance(server.origin), chatId);
    answer(response, 200, avatar);

    expect((await first).outcome.kind).toBe("present");
    expect(second.outcome).toEqual({ kind: "network-error", scope: "call", code: "UND_ERR_CLOSED" });
    await closing;
  });
});
