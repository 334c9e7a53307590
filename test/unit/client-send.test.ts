import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, expectTypeOf, onTestFinished, test } from "vitest";
import {
  ApiProblem,
  createClient,
  type CallOptions,
  type ClientOptions,
} from "../../src/client/create-client.ts";
import { readText } from "../../src/client/read-answer.ts";
import { collect } from "../support/collect.ts";
import { createFakeTiming } from "../support/fake-timing.ts";
import {
  cutOff,
  openFlawedServer,
  saySilence,
  sendJson,
  sendProblem,
  unread,
  type FlawedServer,
  type Reply,
} from "../support/flawed-server.ts";

const apiKey = "avk_0123456789ab.secret-secret-secret-secret-secret-secret-x";
const batch = { instanceId: "1101000001", chatIds: ["79001234567@c.us"] };
const ok = sendJson(200, { ok: true });

let server: FlawedServer;
beforeAll(async () => {
  server = await openFlawedServer();
});
afterAll(async () => server.close());

function openClient(options: Partial<ClientOptions> = {}, timing = createFakeTiming()) {
  return { timing, client: createClient({ baseUrl: server.url, apiKey, ...options }, timing) };
}

const halfAnswer: Reply = (response) => void response.writeHead(200).write("{");
const echo: Reply = (response, { headers }) =>
  sendProblem(400, "invalid-request", {
    detail: `you sent ${headers.authorization}`,
    errors: [{ path: "header/authorization", message: String(headers.authorization) }],
  })(response, { method: "", url: "", headers, body: "" });
const leaky = () => Promise.reject(new Error("fetch failed", { cause: new Error(`Bearer ${apiKey}`) }));
const lines = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
async function* contacts() {
  yield "79001234567@c.us";
  yield { phone: "+49 151 23456789", externalRef: "crm-1" };
}

/** What a call of this client fails with. */
async function failureOf(promise: Promise<unknown>): Promise<ApiProblem> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiProblem);
  return error as ApiProblem;
}

describe("a call that fails for a while", () => {
  test("is tried again after as long as Retry-After says", async () => {
    const { client, timing } = openClient();
    server.script(
      sendProblem(503, "unavailable", { retryAfter: "5" }),
      sendProblem(429, "rate-limited", { retryAfter: "42" }),
      sendProblem(408, "request-timeout", { retryAfter: "Sun, 06 Nov 1994 08:49:37 GMT" }),
      ok,
    );
    expect(await client.getBatch("b")).toEqual({ ok: true });
    expect(timing.waits).toEqual([5_000, 42_000, 0]);
  });

  test.each<[string, Reply]>([
    ["a connection that is cut", cutOff],
    [
      "an answer that is cut off",
      (response) => response.writeHead(200, { "content-length": "9" }).write("{", () => response.destroy()),
    ],
    ["503", sendProblem(503, "unavailable")],
    ["a proxy's 502", (response) => void response.writeHead(502).end("<html>")],
  ])("is tried again after %s, with growing waits", async (_, reply) => {
    const { client, timing } = openClient({}, createFakeTiming(0.5));
    server.script(reply, reply, reply, ok);
    await client.cancelBatch("b");
    expect(timing.waits).toEqual([250, 500, 1_000]);
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(
      Array.from({ length: 4 }, () => "POST /v1/batches/b/cancel"),
    );
  });

  test("is tried again when there is no answer in time", async () => {
    // Its own: a try that was given up may come to it later, and would take what is meant for another test.
    const other = await openFlawedServer();
    onTestFinished(other.close);
    const { client } = openClient({ baseUrl: other.url, timeoutMs: 50 });
    // On a busy machine a try may be given up before it is sent, or its answer be late.
    const maxRetries = 50;
    other.script(saySilence, halfAnswer, ...Array.from({ length: maxRetries }, () => ok));
    expect(await client.getBatch("b", { maxRetries, timeoutMs: 50 })).toEqual({ ok: true });
    expect(other.requests.length).toBeGreaterThanOrEqual(3);
    other.script(...Array.from({ length: maxRetries }, () => saySilence));
    expect(await failureOf(client.getBatch("b", { maxRetries: 0 }))).toMatchObject({
      status: 0,
      code: "timed-out",
      retryable: true,
    });
  });

  test("fails with the last problem when its retries are used up", async () => {
    const { client, timing } = openClient();
    server.script(cutOff, cutOff, cutOff, cutOff, cutOff, sendProblem(503, "unavailable"));
    expect(await failureOf(client.listInstances())).toMatchObject({ code: "unavailable" });
    expect(timing.waits).toHaveLength(5);
    server.script(cutOff);
    expect(await failureOf(client.listInstances({ maxRetries: 0 }))).toMatchObject({
      code: "no-answer",
      status: 0,
    });
    expect(server.requests).toHaveLength(1);
  });

  test("fails rather than wait beyond its time as a whole", async () => {
    const { client, timing } = openClient({ totalTimeoutMs: 100_000 });
    const busy = sendProblem(503, "unavailable", { retryAfter: "40" });
    server.script(busy, busy, busy, ok);
    expect(await failureOf(client.listInstances())).toMatchObject({ status: 503, retryAfterMs: 40_000 });
    expect(timing.waits).toEqual([40_000, 40_000]);
  });

  test("fails rather than come back before it is told to", async () => {
    const { client, timing } = openClient();
    server.script(sendProblem(503, "unavailable", { retryAfter: "3600" }));
    expect(await failureOf(client.listInstances())).toMatchObject({
      retryable: true,
      retryAfterMs: 3_600_000,
    });
    expect(timing.waits).toEqual([]);
  });

  test("stops with its signal, in the middle of a try or of a wait", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    server.script(() => stop.abort(reason));
    await expect(openClient({ signal: stop.signal }).client.listInstances()).rejects.toBe(reason);

    const other = new AbortController();
    const timing = { ...createFakeTiming(), sleep: async () => other.abort(reason) };
    const { client } = openClient({ signal: new AbortController().signal }, timing);
    server.script(cutOff, ok);
    await expect(client.listInstances({ signal: other.signal })).rejects.toBe(reason);
    expect(server.requests).toHaveLength(1);
  });
});

describe("a call that must not be done twice", () => {
  const instance = { id: "1", apiUrl: "https://x", token: "t" };

  test("is not repeated when nobody knows whether it was done", async () => {
    const { client } = openClient();
    for (const reply of [cutOff, sendProblem(503, "unavailable")]) {
      server.script(reply, ok);
      await failureOf(client.addInstance(instance));
      expect(server.requests).toHaveLength(1);
    }
  });

  test("is repeated when it was surely not done", async () => {
    server.script(sendProblem(429, "rate-limited", { retryAfter: "1" }), sendJson(201, { id: "1" }));
    expect(await openClient().client.addInstance(instance)).toEqual({ id: "1" });
  });

  test("that makes a batch has one idempotency key and one body for all tries", async () => {
    const { client, timing } = openClient();
    const accepted = sendJson(202, { id: "b" });
    const again = sendProblem(409, "in-progress", { retryAfter: "1" });
    server.script(cutOff, again, accepted, accepted);
    expect(await client.createBatch(batch)).toEqual({ id: "b" });
    expect(timing.waits).toEqual([0, 1_000]);
    await client.createBatch(batch);
    const keys = server.requests.map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(keys[0]).toMatch(/^"[0-9a-f]{32}"$/);
    expect(keys[3]).not.toBe(keys[0]);
    expect(server.requests.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      batch,
      batch,
      batch,
      batch,
    ]);

    server.script(accepted);
    await client.createBatch(batch, { idempotencyKey: 'order "7"', strict: true });
    expect(server.requests[0]).toMatchObject({
      url: "/v1/batches?strict=true",
      headers: { "idempotency-key": '"order \\"7\\""', "content-type": "application/json" },
    });
    await expect(client.createBatch(batch, { idempotencyKey: "ключ" })).rejects.toThrow(TypeError);
  });

  test("an erasure that was done without an answer is not reported as missing", async () => {
    const { client } = openClient();
    const missing = sendProblem(404, "not-found");
    server.script(cutOff, missing);
    await client.eraseContact("1", "79001234567");
    server.script(cutOff, missing);
    expect(await client.removeInstance("1")).toBe("removed");
    server.script(missing);
    expect(await failureOf(client.eraseContact("1", "79001234567"))).toMatchObject({ code: "not-found" });
  });
});

describe("a problem", () => {
  test("tells all that the server says, and is not tried again when that is no use", async () => {
    const errors = [{ path: "/chatIds/0", message: "empty" }];
    server.script(sendProblem(422, "invalid-contacts", { errors, batchId: "b" }));
    const problem = await failureOf(openClient().client.createBatch(batch));
    expect(problem).toMatchObject({
      status: 422,
      code: "invalid-contacts",
      detail: "about invalid-contacts",
      message: "about invalid-contacts (invalid-contacts, HTTP 422)",
      requestId: "request-1",
      errors,
      batchId: "b",
      retryable: false,
    });
    server.script(sendProblem(409, "conflict"));
    expect(await failureOf(openClient().client.retryBatch("b"))).toMatchObject({
      retryable: false,
      errors: [],
    });
  });

  test.each<[string, number, Reply]>([
    ["a page", 404, (response) => void response.writeHead(404).end("<html>")],
    ["JSON of something else", 400, sendJson(400, { error: "no" })],
    ["a page in the place of JSON", 200, (response) => void response.end("<html>")],
    ["a redirect", 307, (response) => void response.writeHead(307, { location: "/elsewhere" }).end()],
  ])("is told from %s that no API has sent", async (_, status, reply) => {
    server.script(reply);
    expect(await failureOf(openClient().client.listInstances())).toMatchObject({
      status,
      code: "unexpected-answer",
      retryable: false,
    });
    expect(server.requests).toHaveLength(1);
  });

  test("never holds the API key", async () => {
    const { client } = openClient();
    server.script(echo);
    const problems = [
      await failureOf(client.listInstances()),
      await failureOf(openClient({ fetch: leaky, maxRetries: 0 }).client.listInstances()),
      await failureOf(openClient({ baseUrl: "http://127.0.0.1:1", maxRetries: 0 }).client.listInstances()),
    ];
    expect(problems[0]?.detail).toBe("you sent Bearer [the API key]");
    expect(problems[2]?.cause).toBeInstanceOf(Error);
    for (const problem of problems) {
      expect(inspect(problem, { depth: Infinity, showHidden: true })).not.toContain("secret-secret");
    }
    expect(inspect(client, { depth: Infinity, showHidden: true })).not.toContain("secret-secret");
    for (const key of ["", `${apiKey}\n`, `${apiKey} `, `${apiKey}ü`]) {
      expect(() => openClient({ apiKey: key })).toThrow(TypeError);
      expect(() => openClient({ apiKey: key })).not.toThrow(/secret-secret/);
    }
  });
});

describe("a stream", () => {
  const accepted = sendJson(202, { id: "b", resumed: false });
  test("of contacts is sent as NDJSON, and again when it can be made anew", async () => {
    const { client } = openClient();
    server.script(cutOff, sendProblem(503, "unavailable", { batchId: "b" }), accepted);
    expect(
      await client.streamBatch({ instanceId: "1", priority: 2, maxAge: 60, contacts }, { strict: true }),
    ).toEqual({ id: "b", resumed: false });
    const [first, , last] = server.requests;
    expect(last?.headers).toMatchObject({
      "content-type": "application/x-ndjson",
      "idempotency-key": first?.headers["idempotency-key"],
    });
    expect(new URL(last?.url ?? "", server.url).searchParams.toString()).toBe(
      "instanceId=1&priority=2&maxAge=60&strict=true&column=chatId&refColumn=externalRef",
    );
    for (const { body } of server.requests) {
      expect(lines(body)).toEqual([
        { chatId: "79001234567@c.us" },
        { chatId: "+49 151 23456789", externalRef: "crm-1" },
      ]);
    }
  });

  test.each<[string, () => Iterable<string> | AsyncIterable<string> | ReadableStream<Uint8Array>]>([
    ["an iterable", () => ["a\n", "b\n"].values()],
    [
      "an async iterable",
      async function* () {
        yield "a\n";
        yield "b\n";
      },
    ],
    ["a stream of the web", () => new Blob(["a\nb\n"]).stream() as ReadableStream<Uint8Array>],
  ])("of bytes may be %s", async (_, body) => {
    const { client } = openClient();
    server.script(accepted, cutOff, accepted, cutOff, accepted);
    await client.streamBatch({ instanceId: "1", format: "text", body: body() });
    await client.streamBatch({ instanceId: "1", format: "text", body });
    expect(server.requests.map((request) => request.body)).toEqual(["a\nb\n", "a\nb\n", "a\nb\n"]);
    await failureOf(client.streamBatch({ instanceId: "1", format: "text", body: body() }));
    expect(server.requests).toHaveLength(4);
  });

  test("that fails by itself fails the call with its own error", async () => {
    const failure = new Error("the file is broken");
    const body = async function* () {
      yield "a\n";
      throw failure;
    };
    // Its own: nobody knows when the request comes, or whether it does.
    const other = await openFlawedServer();
    onTestFinished(other.close);
    other.script(accepted, accepted);
    const { client } = openClient({ baseUrl: other.url });
    await expect(client.streamBatch({ instanceId: "1", format: "csv", body })).rejects.toBe(failure);
  });

  test("that is refused before its end is told why, and its source is closed", async () => {
    let isClosed = false;
    async function* body() {
      try {
        for (;;) {
          yield `${"7".repeat(1_000)}\n`;
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
        }
      } finally {
        isClosed = true;
      }
    }
    server.script(unread(sendProblem(404, "not-found")));
    const problem = await failureOf(
      openClient().client.streamBatch({ instanceId: "1", format: "csv", body }),
    );
    expect(problem).toMatchObject({ code: "not-found" });
    await expect.poll(() => isClosed).toBe(true);
  });
});

describe("a download", () => {
  test("gives its rows, wherever it is cut in pieces", async () => {
    server.script((response) => {
      response.writeHead(200);
      response.write('{"chat_id": "1"}\n{"chat');
      response.end('_id": "ü"}\n');
    });
    expect(await collect(openClient().client.getBatchResultsNdjson("b", { status: ["present"] }))).toEqual([
      { chat_id: "1" },
      { chat_id: "ü" },
    ]);
    expect(server.requests[0]?.url).toBe("/v1/batches/b/results.ndjson?status=present");
  });

  test("that is cut short fails, after what has come", async () => {
    server.script((response) => {
      response.writeHead(200).write("chat_id\n", () => response.destroy());
    });
    const download = openClient().client.getBatchResultsCsv("b")[Symbol.asyncIterator]();
    expect(await download.next()).toEqual({ done: false, value: "chat_id\n" });
    expect(await failureOf(download.next())).toMatchObject({ status: 0, code: "no-answer" });
  });

  test("on which nothing comes any more fails", async () => {
    const stalled = new Response(
      new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array([97])) }),
    );
    const text = readText(stalled, 20, undefined);
    expect(await text.next()).toEqual({ done: false, value: "a" });
    expect(await failureOf(text.next())).toMatchObject({ code: "timed-out" });
  });
});

test("a refresh is told apart by its answer", async () => {
  const { client } = openClient();
  server.script(sendJson(200, { chatId: "1" }), sendJson(202, { batchId: "b", contact: null }));
  expect(await client.refreshContact("1", "2", { waitMs: 500 })).toEqual({
    kind: "answered",
    contact: { chatId: "1" },
  });
  expect(await client.refreshContact("1", "2")).toEqual({ kind: "pending", batchId: "b", contact: null });
  expect(server.requests.map(({ url }) => url)).toEqual([
    "/v1/instances/1/contacts/2/refresh?wait=500ms",
    "/v1/instances/1/contacts/2/refresh?wait=15000ms",
  ]);
});

test("a server that is not ready is an answer, and no problem", async () => {
  const notReady = { status: "not-ready", missing: [{ name: "postgres", detail: "away" }] };
  server.script(sendJson(503, notReady));
  expect(await openClient().client.getReadiness()).toEqual(notReady);
});

test("options of a call may be undefined", () => {
  expectTypeOf<{ signal: undefined; timeoutMs: undefined; maxRetries: undefined }>().toExtend<CallOptions>();
});
