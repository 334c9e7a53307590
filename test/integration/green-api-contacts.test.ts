import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { InstanceCredentials } from "../../src/domain/outcome.ts";
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

describe("the contacts that the simulator lists", () => {
  let simulator: Simulator;
  beforeAll(async () => {
    simulator = await startSimulator({ latencyMs: 1, tailShare: 0, contactsRequestsPerSecond: 1_000 });
  });
  beforeEach(() => simulator.reset());
  afterAll(() => simulator.close());

  const ask = (options?: Partial<GreenApiOptions>) => openApi(options).getContacts(toInstance(simulator.url));

  test("are told by one call, all of them, in their order", async () => {
    const ids = simulator.contacts(instanceId).map(({ id }) => id);
    expect(await ask()).toEqual({ kind: "contacts", ids });
    expect(simulator.readLog()).toMatchObject([{ method: "getContacts", instanceId, outcome: "contacts" }]);
  });

  test("may be more than fit into an answer of getAvatar", async () => {
    simulator.setContacts({ users: 100_000, groups: 0, others: 0 });
    const report = await ask({ maxBodyBytes: 1_000 });
    expect(report.kind === "contacts" && report.ids.length).toBe(100_000);
  });

  test("are not read beyond their limit", async () => {
    expect(await ask({ maxContactsBytes: 1_000 })).toEqual({ kind: "unanswered", code: "NOT_UNDERSTOOD" });
  });

  test("may be none", async () => {
    simulator.setContacts({ users: 0, groups: 0, others: 0 });
    expect(await ask()).toEqual({ kind: "contacts", ids: [] });
  });

  test.each(["starting", "expired", "deleted"] as const)(
    "are refused by an instance that is %s",
    async (kind) => {
      simulator.setState(instanceId, kind);
      expect(await ask()).toEqual({ kind: "refused", outcome: { kind, scope: "instance" } });
    },
  );

  test("are refused to a wrong token", async () => {
    simulator.setToken("another", instanceId);
    const outcome = { kind: "unauthorized", scope: "instance", status: 401 };
    expect(await ask()).toEqual({ kind: "refused", outcome });
  });

  test.each([
    ["disguised-401", { kind: "refused", outcome: { kind: "unauthorized", scope: "instance", status: 401 } }],
    [
      "quota-466",
      { kind: "refused", outcome: expect.objectContaining({ kind: "quota-exhausted" }) as unknown },
    ],
    ["throttled-429", { kind: "throttled", retryAfterMs: undefined }],
    ["throttled-429-seconds", { kind: "throttled", retryAfterMs: 2_000 }],
    ["rate-overlimit", { kind: "throttled", retryAfterMs: undefined }],
    ["status-false-unknown", { kind: "unanswered", code: "NOT_UNDERSTOOD" }],
    ["html-200", { kind: "unanswered", code: "NOT_UNDERSTOOD" }],
    ["truncated-200", { kind: "unanswered", code: "NOT_UNDERSTOOD" }],
    ["empty-200", { kind: "unanswered", code: "NOT_UNDERSTOOD" }],
    ["bad-gateway-502", { kind: "unanswered", code: "HTTP_502" }],
    ["connection-reset", { kind: "unanswered", code: "ECONNRESET" }],
  ] as const)("are no list when the answer is %s", async (answer, report) => {
    simulator.script({ method: "getContacts", answers: [answer] });
    expect(await ask()).toEqual(report);
  });

  test("are no list when the connection is cut in the middle of it", async () => {
    simulator.script({ method: "getContacts", answers: ["connection-cut"] });
    expect(await ask()).toMatchObject({ kind: "unanswered" });
  });

  test("are waited for no longer than their deadline, or the caller", async () => {
    simulator.script({ method: "getContacts", answers: ["stall"], times: "forever" });
    expect(await ask({ contactsTimeoutMs: 50 })).toEqual({ kind: "unanswered", code: "DEADLINE" });
    const stopping = new AbortController();
    const asked = openApi().getContacts(toInstance(simulator.url), { signal: stopping.signal });
    await expect.poll(() => simulator.readLog({ outcome: "stall" })).toHaveLength(2);
    stopping.abort();
    expect(await asked).toEqual({ kind: "unanswered", code: "ABORTED" });
  });
});

test.each([200, 302, 400, 404, 418, 466, 500])(
  "a %i that echoes the token leaves none of it in the report",
  async (status) => {
    const origin = await openServer(({ url }, response) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ statusCode: status, path: url, message: `no ${url}` }));
    });
    const report = await openApi().getContacts(toInstance(origin));
    expect(report.kind).not.toBe("contacts");
    expect(JSON.stringify(report)).not.toContain(token.slice(0, 8));
  },
);

test("a URL that is none, and a closed door, are reports too", async () => {
  expect(await openApi().getContacts(toInstance("not a url"))).toMatchObject({ kind: "unanswered" });
  const api = openApi();
  await api.close();
  const report = await api.getContacts(toInstance("http://127.0.0.1:1"));
  expect(report).toEqual({ kind: "unanswered", code: "UND_ERR_CLOSED" });
});
