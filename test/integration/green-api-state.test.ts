import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseChatId } from "../../src/domain/chat-id.ts";
import type { InstanceCredentials } from "../../src/domain/outcome.ts";
import type { StateReport } from "../../src/domain/lookup/state-report.ts";
import { createGreenApi, type GreenApi, type GreenApiOptions } from "../../src/provider/green-api.ts";
import { startSimulator, type Simulator } from "../../src/simulator/start-simulator.ts";

const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const instanceId = "1101000001";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

function openApi(options: Partial<GreenApiOptions> = {}): GreenApi {
  const api = createGreenApi({ callTimeoutMs: 60_000, ...options });
  closers.push(() => api.close());
  return api;
}

function toInstance(apiUrl: string): InstanceCredentials {
  return { instanceId, apiUrl, token };
}

/** A provider that answers with `listener`, on a port of its own. Returns its origin. */
async function openServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("the state that the simulator tells", () => {
  let simulator: Simulator;
  beforeAll(async () => {
    simulator = await startSimulator({ latencyMs: 1, tailShare: 0, stateRequestsPerSecond: 1_000 });
  });
  beforeEach(() => simulator.reset());
  afterAll(() => simulator.close());

  const ask = (): Promise<StateReport> => openApi().getState(toInstance(simulator.url));

  test.each([
    ["authorized", "works"],
    ["suspended", "works"],
    ["starting", "waits"],
    ["notAuthorized", "needs-person"],
    ["blocked", "needs-person"],
    ["somethingNew", "unknown"],
  ])("%s: %s", async (state, verdict) => {
    simulator.setState(instanceId, state);
    expect(await ask()).toEqual({ kind: "state", state, verdict });
    expect(simulator.readLog({ instanceId, method: "getStateInstance" })).toHaveLength(1);
    expect(simulator.readLog({ instanceId, method: "getAvatar" })).toEqual([]);
  });

  test("is what it claims, whatever it is", async () => {
    simulator.setState(instanceId, "authorized", "notAuthorized");
    expect(await ask()).toMatchObject({ kind: "state", state: "notAuthorized" });
  });

  test.each(["expired", "deleted"] as const)("an instance that is %s is refused", async (kind) => {
    simulator.setState(instanceId, kind);
    expect(await ask()).toEqual({ kind: "refused", outcome: { kind, scope: "instance" } });
  });

  test("a wrong token is refused", async () => {
    simulator.setToken("another", instanceId);
    expect(await ask()).toEqual({
      kind: "refused",
      outcome: { kind: "unauthorized", scope: "instance", status: 401 },
    });
  });

  test.each([
    ["disguised-401", { kind: "refused", outcome: { kind: "unauthorized" } }],
    ["forbidden-403", { kind: "refused", outcome: { kind: "unauthorized", status: 403 } }],
    ["not-found-404", { kind: "refused", outcome: { kind: "not-found" } }],
    ["not-authorized-400", { kind: "refused", outcome: { kind: "not-authorized" } }],
    ["starting-400", { kind: "refused", outcome: { kind: "starting" } }],
    ["quota-466", { kind: "refused", outcome: { kind: "quota-exhausted", quota: "method" } }],
    ["throttled-429-seconds", { kind: "throttled", retryAfterMs: expect.any(Number) as number }],
    ["server-error-500", { kind: "unanswered", code: "HTTP_500" }],
    ["html-200", { kind: "unanswered", code: "NOT_UNDERSTOOD" }],
    ["truncated-200", { kind: "unanswered", code: "NOT_UNDERSTOOD" }],
  ] as const)("answered %s", async (answer, report) => {
    simulator.script({ instanceId, method: "getStateInstance", answers: [answer] });
    expect(await ask()).toMatchObject(report);
  });

  test("two calls in one second are one too many", async () => {
    const strict = await startSimulator({ latencyMs: 1, tailShare: 0 });
    closers.push(() => strict.close());
    const api = openApi();
    const reports = await Promise.all([1, 2].map(() => api.getState(toInstance(strict.url))));
    expect(reports.map(({ kind }) => kind).toSorted()).toEqual(["state", "throttled"]);
  });
});

describe("the call", () => {
  test.each([
    ["", ""],
    ["/green/api/", "/green/api"],
  ])("goes to the instance's own URL, also with %j at its end, and has no body", async (suffix, prefix) => {
    const seen: unknown[] = [];
    const origin = await openServer((request, response) => {
      const { method, url, headers } = request;
      seen.push({ method, url, type: headers["content-type"], length: headers["content-length"] });
      response.end('{"stateInstance":"authorized"}');
    });
    expect(await openApi().getState(toInstance(origin + suffix))).toMatchObject({ state: "authorized" });
    const url = `${prefix}/waInstance${instanceId}/getStateInstance/${token}`;
    expect(seen).toEqual([{ method: "GET", url, type: undefined, length: undefined }]);
  });

  test("has a deadline of its own", async () => {
    const origin = await openServer(() => undefined);
    const report = await openApi({ stateTimeoutMs: 100 }).getState(toInstance(origin));
    expect(report).toEqual({ kind: "unanswered", code: "DEADLINE" });
  });

  test("leaves getAvatar its deadline", async () => {
    const origin = await openServer(() => undefined);
    const chat = parseChatId("79001234567@c.us");
    if (!chat.ok) throw new Error(chat.reason);
    const api = openApi({ callTimeoutMs: 150, stateTimeoutMs: 50 });
    const { outcome } = await api.getAvatar(toInstance(origin), chat.chatId);
    expect(outcome).toEqual({ kind: "deadline", scope: "call", afterMs: 150 });
  });

  test("ends when the caller aborts it", async () => {
    const controller = new AbortController();
    const origin = await openServer(() => controller.abort());
    const report = await openApi().getState(toInstance(origin), { signal: controller.signal });
    expect(report).toEqual({ kind: "unanswered", code: "ABORTED" });
  });

  test("is not made when it is aborted before", async () => {
    let calls = 0;
    const origin = await openServer(() => void calls++);
    const report = await openApi().getState(toInstance(origin), { signal: AbortSignal.abort() });
    expect(report).toEqual({ kind: "unanswered", code: "ABORTED" });
    expect(calls).toBe(0);
  });

  test("meets nobody who listens", async () => {
    const origin = await openServer(() => undefined);
    await closers.pop()?.();
    const report = await openApi().getState(toInstance(origin));
    expect(report).toEqual({ kind: "unanswered", code: "ECONNREFUSED" });
  });

  test.each(["not a url", "file:///tmp"])("has a URL that is none: %s", async (apiUrl) => {
    const report = await openApi().getState(toInstance(apiUrl));
    expect(report).toMatchObject({ kind: "unanswered" });
    expect(JSON.stringify(report)).not.toContain(token);
  });

  test("meets a redirect, and does not follow it", async () => {
    let calls = 0;
    const origin = await openServer((_, response) => {
      calls++;
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    expect(await openApi().getState(toInstance(origin))).toEqual({ kind: "unanswered", code: "HTTP_307" });
    expect(calls).toBe(1);
  });

  test.each([200, 302, 400, 404, 418, 466, 500])(
    "is answered by a %i that echoes the token: the report does not hold it",
    async (status) => {
      const origin = await openServer((request, response) => {
        const { url } = request;
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify({ statusCode: status, path: url, message: `no ${url}` }));
      });
      const report = await openApi().getState(toInstance(origin));
      expect(JSON.stringify(report)).not.toContain(token.slice(0, 8));
    },
  );

  test("waits for no other when the door is closed", async () => {
    const origin = await openServer((_, response) => response.end('{"stateInstance":"authorized"}'));
    const api = openApi();
    await api.close();
    expect(await api.getState(toInstance(origin))).toEqual({ kind: "unanswered", code: "UND_ERR_CLOSED" });
  });
});
