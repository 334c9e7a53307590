import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readBody, toAnswer, type ApiAnswer } from "../support/api-call.ts";
import { openApiStage, type ApiStage, type TestApi } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { connectRaw, exchangeRaw } from "../support/raw-exchange.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";
const [chatId = ""] = makeChats(1);
const json = { "content-type": "application/json" };
const post = { method: "POST" };

let stage: ApiStage;
/** Has little patience, and takes few and small requests. */
let tight: TestApi;
const maxBodyBytes = 4_000;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
  tight = await stage.serve({ settings: { maxBodyBytes, wholeMs: 300, idleMs: 300, requestsPerMinute: 5 } });
});
afterAll(() => stage.close());

async function countBatches(): Promise<number> {
  const { rows } = await stage.database.pool.query<{ batches: number }>(
    "select count(*)::integer as batches from avatars.batches",
  );
  return rows[0]!.batches;
}

function expectProblem(answer: ApiAnswer, status: number, code: string, more: object = {}): void {
  expect([answer.status, answer.headers["content-type"]]).toEqual([status, "application/problem+json"]);
  expect(answer.json()).toEqual({
    type: `urn:contact-avatars:problem:${code}`,
    title: expect.any(String),
    status,
    code,
    detail: expect.any(String),
    requestId: answer.headers["x-request-id"],
    ...more,
  });
}

/** Where the faults are. */
function paths(answer: ApiAnswer): string[] {
  return (answer.json()["errors"] as { path: string }[]).map(({ path }) => path);
}

describe("a sender who is refused", () => {
  test("reads the answer while it sends, and is cut where it never stops", async () => {
    const socket = await connectRaw(stage.url);
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const received: Buffer[] = [];
    socket.on("data", (bytes: Buffer) => void received.push(bytes));
    const sendOn = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on("drain", sendOn);
    // A reset is the end, too: no more than that may be said of one who does not stop.
    const closed = new Promise((resolve) => void socket.once("close", resolve));
    socket.write(
      "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer none\r\nContent-Type: application/x-ndjson\r\n" +
        "Transfer-Encoding: chunked\r\n\r\n",
    );
    sendOn();
    await closed;
    expect(Buffer.concat(received).toString("latin1")).toMatch(/^HTTP\/1\.1 401 /);
  });
});

describe("a problem", () => {
  test("names each faulty field by its path", async () => {
    const body = { instanceId: "x", contacts: [{ chatId }, { chatID: chatId }], priority: 7, maxAge: "soon" };
    const inBody = await stage.call("/v1/batches", { ...post, json: body });
    expectProblem(inBody, 400, "invalid-request", { errors: expect.any(Array) });
    expect(paths(inBody)).toEqual(["/instanceId", "/contacts/1", "/priority", "/maxAge"]);
    expect(paths(await stage.call("/v1/instances", { ...post, json: { id: "1", apiUrl: "x" } }))).toEqual([
      "/apiUrl",
      "/token",
    ]);
    const inQuery = paths(await stage.call("/v1/batches?limit=0&state=odd"));
    expect(inQuery.sort()).toEqual(["query/limit", "query/state/0"]);
    expect(paths(await stage.call("/v1/batches/1"))).toEqual(["path/id"]);
    expect(paths(await stage.call(`/v1/instances/${instanceId}/contacts/nobody`))).toEqual(["path/chatId"]);
    const headers = { "idempotency-key": "ä b" };
    const inHeader = await stage.call("/v1/batches", {
      ...post,
      headers,
      json: { instanceId, chatIds: [chatId] },
    });
    expect(paths(inHeader)).toEqual(["header/idempotency-key"]);
  });

  test("of ten thousand faults names a hundred", async () => {
    const answer = await stage.call("/v1/batches", {
      ...post,
      json: { instanceId, chatIds: Array.from({ length: 10_000 }, () => 7) },
    });
    expect(answer.status).toBe(400);
    expect(answer.json()["errors"]).toHaveLength(100);
    expect(answer.body.length).toBeLessThan(20_000);
  });

  test.each([
    ["that is not JSON", json, '{"instanceId":', 400, "malformed-body"],
    ["that is empty", json, "", 400, "malformed-body"],
    ["in Latin-1", json, Buffer.from('{"label":"Łó"}', "latin1"), 400, "malformed-body"],
    ["that would poison a prototype", json, '{"__proto__":{"admin":true}}', 400, "malformed-body"],
    [
      "of a type that is not known here",
      { "content-type": "application/xml" },
      "<x/>",
      415,
      "unsupported-media-type",
    ],
    ["of no type", {}, "{}", 415, "unsupported-media-type"],
  ])("tells of a body %s", async (_, headers, body, status, code) => {
    const before = await countBatches();
    for (const path of ["/v1/batches", "/v1/contacts/lookup", "/v1/instances"]) {
      expectProblem(await stage.call(path, { ...post, headers, body }), status, code);
    }
    expect(await countBatches()).toBe(before);
  });

  test("tells where a stream is not taken", async () => {
    const headers = { "content-type": "text/csv" };
    const answer = await stage.call("/v1/contacts/lookup", { ...post, headers, body: chatId });
    expectProblem(answer, 415, "unsupported-media-type");
  });

  test("tells that there is nothing at a path, or nothing with this method", async () => {
    expectProblem(await stage.call("/v2/batches"), 404, "not-found");
    expectProblem(await stage.call("/v1/batches", { method: "PUT" }), 404, "not-found");
    expectProblem(await stage.call("/v1/batches/%zz"), 400, "invalid-request");
    expectProblem(await stage.call(`/v1/instances/${"1".repeat(400)}`), 400, "invalid-request");
  });
});

test("a request that needs no body is not judged by one", async () => {
  const path = `/v1/instances/${instanceId}/resume`;
  for (const [headers, body] of [
    [json, undefined],
    [json, "{"],
    [{ "content-type": "garbage" }, "x".repeat(9_000)],
    [{}, "x"],
  ] as const) {
    expect((await tight.call(path, { ...post, key: await stage.createKey(), headers, body })).status).toBe(
      200,
    );
  }
});

describe("a request id", () => {
  test("is the sender's, in the answer and in what is told of the request", async () => {
    const requestId = "crm:2026-11/42";
    const headers = { "x-request-id": requestId };
    for (const path of ["/v1/instances", "/healthz", "/nothing", "/v1/batches/%zz"]) {
      const answer = await stage.call(path, { headers });
      expect(answer.headers["x-request-id"]).toBe(requestId);
      if (answer.status >= 400) expect(answer.json()["requestId"]).toBe(requestId);
    }
    await eventually(() =>
      expect(stage.records.filter((record) => record.requestId === requestId)).toHaveLength(4),
    );
  });

  test("is a new one where the sender has none that is fit for a log", async () => {
    for (const given of ["a b", "x".repeat(129), "é", "<script>", '"'] as const) {
      const { headers } = await stage.call("/healthz", { headers: { "x-request-id": given } });
      expect(headers["x-request-id"]).toMatch(/^[\da-f-]{36}$/);
    }
    const answers = await Promise.all([stage.call("/healthz"), stage.call("/healthz")]);
    expect(new Set(answers.map(({ headers }) => headers["x-request-id"])).size).toBe(2);
  });
});

describe("a key that has had its share", () => {
  test("is told so before, and how long to wait; others go on", async () => {
    const [key, other] = [await stage.createKey(), await stage.createKey()];
    const remaining = [];
    for (let sent = 0; sent < 5; sent += 1) {
      const { headers, status } = await tight.call("/v1/instances", { key });
      expect(status).toBe(200);
      expect(headers["ratelimit-limit"]).toBe("5");
      expect(Number(headers["ratelimit-reset"])).toBeGreaterThan(0);
      remaining.push(headers["ratelimit-remaining"]);
    }
    expect(remaining).toEqual(["4", "3", "2", "1", "0"]);
    const refused = await tight.call("/v1/batches", {
      ...post,
      key,
      json: { instanceId, chatIds: [chatId] },
    });
    expectProblem(refused, 429, "rate-limited");
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect(Number(refused.headers["retry-after"])).toBeLessThanOrEqual(60);
    expect((await tight.call("/v1/instances", { key: other })).status).toBe(200);
    expect((await tight.call("/healthz", { key })).status).toBe(200);
  });

  test("does not get it by other keys that are none", async () => {
    const refused = [];
    for (let sent = 0; sent < 10; sent += 1) {
      refused.push(
        (await tight.call("/v1/instances", { key: `avk_${"0".repeat(12)}.${"x".repeat(43)}` })).status,
      );
    }
    expect(new Set(refused)).toEqual(new Set([401]));
  });
});

/** The beginning of a body, and nothing more. */
async function sendSlowly(): Promise<ApiAnswer> {
  const body = new PassThrough();
  body.write(`{"instanceId":"${instanceId}","chatIds":["${chatId}"]`);
  const key = await stage.createKey();
  return tight.call("/v1/batches", { ...post, key, headers: json, body });
}

describe("a body", () => {
  const large = JSON.stringify({ instanceId, chatIds: makeChats(1_000) });

  test("that says that it is too large is not read", async () => {
    const key = await stage.createKey();
    const body = new PassThrough();
    body.write("{");
    const answer = await tight.call("/v1/batches", {
      ...post,
      key,
      headers: { ...json, "content-length": String(large.length) },
      body,
    });
    expectProblem(answer, 413, "body-too-large");
    body.destroy();
  });

  test("that turns out to be too large is refused", async () => {
    const key = await stage.createKey();
    const body = new PassThrough();
    body.end(large);
    const answer = await tight.call("/v1/batches", { ...post, key, headers: json, body });
    expectProblem(answer, 413, "body-too-large");
  });

  test("that comes too slowly is given up, with nothing taken in", async () => {
    const before = await countBatches();
    const answer = await sendSlowly();
    expectProblem(answer, 408, "request-timeout");
    expect(await countBatches()).toBe(before);
  });

  test("that is a stream may take any time, as long as something comes", async () => {
    const key = await stage.createKey();
    const body = new PassThrough();
    const sent = tight.call(`/v1/batches?instanceId=${instanceId}`, {
      ...post,
      key,
      headers: { "content-type": "application/x-ndjson" },
      body,
    });
    const chats = makeChats(8, 500);
    // Longer in all than a stream may be silent.
    const timer = setInterval(() => {
      const next = chats.pop();
      if (next === undefined) {
        clearInterval(timer);
        body.end();
      } else body.write(`{"chatId":"${next}"}\n`);
    }, 60);
    const answer = await sent;
    expect(answer.status).toBe(202);
    expect(answer.json()).toMatchObject({ counts: { accepted: 8, duplicates: 0, rejected: 0 } });
  });

  test("that is a stream on which nothing comes any more leaves a batch that is named", async () => {
    const body = new PassThrough();
    body.write(`{"chatId":"${chatId}"}\n`);
    const key = await stage.createKey();
    const answer = await tight.call(`/v1/batches?instanceId=${instanceId}`, {
      ...post,
      key,
      headers: { "content-type": "application/x-ndjson" },
      body,
    });
    expectProblem(answer, 408, "request-timeout", { batchId: expect.any(String) });
    const batch = await stage.call(`/v1/batches/${String(answer.json()["batchId"])}`);
    expect(batch.json()).toMatchObject({ state: "incomplete" });
  });
});

describe("who is refused before all of the body is there", () => {
  test.each([
    ["too often", "application/json", 429],
    ["of an unknown type", "application/xml", 415],
    ["without a key", "application/json", 401],
    ["for a list that takes none", "text/csv", 404],
  ])("%s may keep the connection, and harms nobody", async (why, type, status) => {
    const key = await stage.createKey();
    if (status === 429) for (let sent = 0; sent < 5; sent += 1) await tight.call("/v1/instances", { key });
    const path = status === 404 ? "/v1/nothing" : "/v1/batches";
    const body = new PassThrough();
    body.write("x".repeat(200_000));
    const response = await tight.open(path, {
      ...post,
      key: why === "without a key" ? undefined : key,
      headers: { "content-type": type, connection: "keep-alive" },
      body,
    });
    const answer = toAnswer(response, await readBody(response));
    expect(answer.status).toBe(status);
    // Its deadline passes while another one, which began later, is waited for.
    expect((await sendSlowly()).status).toBe(408);
    response.socket.destroy();
    expect((await tight.call("/healthz", { key: undefined })).status).toBe(200);
    body.destroy();
  });
});

describe("what is not HTTP", () => {
  const head = "POST /v1/batches HTTP/1.1\r\nHost: x\r\n";
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom(
        head,
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\r\n",
        "\r\n\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 5, 6\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Content-Type: application/json\r\n",
        "5\r\nhello\r\n",
        "ffffffffffffffff\r\n",
        "0\r\n\r\n",
        ": no name\r\n",
        "X: \0\r\n",
        `X: ${"y".repeat(20_000)}\r\n`,
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "Expect: 100-continue\r\n",
        "Expect: tea\r\n",
      )
      .map((text) => Buffer.from(text)),
  );

  test("is refused, or the connection is closed, and nobody else notices", async () => {
    const before = await countBatches();
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 12 }), async (pieces) => {
        const answer = await exchangeRaw(stage.url, Buffer.concat(pieces));
        expect(answer).toMatch(/^(HTTP\/1\.1 (100|4\d\d|200) |$)/);
      }),
      { numRuns: 300 },
    );
    expect((await stage.call("/v1/instances")).status).toBe(200);
    expect(await countBatches()).toBe(before);
    expect(stage.failures).toEqual([]);
  });

  test("and comes bit by bit does not keep others waiting", async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, async () => connectRaw(stage.url)));
    for (const socket of sockets) socket.write("GET /healthz HT");
    expect((await stage.call("/v1/instances")).status).toBe(200);
    for (const socket of sockets) socket.destroy();
  });
});
