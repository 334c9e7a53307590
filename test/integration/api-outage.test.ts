import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApp } from "../../src/app/app.ts";
import { readConfig } from "../../src/config.ts";
import { callApi, type ApiAnswer, type ApiCall } from "../support/api-call.ts";
import { readDocument, toPath, type ApiDocument, type Operation } from "../support/api-document.ts";
import { openApiStage, type ApiStage, type TestApi } from "../support/api-stage.ts";
import { openCommitCutter } from "../support/commit-cutter.ts";
import { eventually } from "../support/eventually.ts";
import { openPostgresValve, type PostgresValve } from "../support/postgres-valve.ts";
import { makeChats, secretKey } from "../support/stage.ts";

const instanceId = "1101000001";
const [chatId = ""] = makeChats(1);

let stage: ApiStage;
let document: ApiDocument;
let batchId: string;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  stage = await openApiStage({ images: true });
  document = readDocument((await stage.call("/openapi.json")).text);
  await stage.addInstance(instanceId);
  const answer = await stage.call("/v1/batches", { method: "POST", json: { instanceId, chatIds: [chatId] } });
  batchId = String(answer.json()["id"]);
});
afterAll(async () => {
  await stage.close();
  for (const close of closers) await close();
});

/** An API whose way to Postgres can be shut, and which knows the key already. */
async function serveBehindValve(): Promise<{ api: TestApi; valve: PostgresValve }> {
  const valve = await openPostgresValve(stage.database.url);
  closers.push(() => valve.close());
  const api = await stage.serve({ databaseUrl: valve.url });
  expect((await api.call("/v1/instances")).status).toBe(200);
  return { api, valve };
}

const isKeyed = ({ scopes }: Operation) => scopes !== undefined;

/** A request that would be served. */
function send(api: TestApi, { id, method, path }: Operation): Promise<ApiAnswer> {
  const values: Record<string, string> = {
    ...(path.startsWith("/v1/batches/{id}") && { id: batchId }),
    ...(path.startsWith("/v1/instances/{id}") && { id: instanceId }),
    ...(path.includes("{chatId}") && { chatId }),
    ...(path.includes("{contactId}") && { contactId: "1" }),
    ...(path.includes("{sha256}") && { sha256: "0".repeat(64) }),
    ...(/^\/v1\/(?:keys|webhooks)\/\{id\}/.test(path) && { id: "000000000000" }),
    ...(id === "removeInstance" && { contacts: "erase" }),
  };
  const bodies: Record<string, unknown> = {
    createBatch: { instanceId, chatIds: makeChats(3, 100) },
    lookupContacts: { instanceId, chatIds: [chatId] },
    changeInstance: { label: "changed" },
    noteReveal: { instanceId, chatIds: [chatId] },
    addKey: { scopes: ["read"] },
    addWebhook: { url: "https://crm.example/hooks" },
    changeWebhook: { label: "changed" },
    enableWebhook: { from: "now" },
    replayWebhook: { after: 0 },
    redeliverWebhook: { feedId: 0 },
    addInstance: { id: "1101000009", apiUrl: stage.simulator.url, token: "anything" },
  };
  const call: ApiCall = { method, deadlineMs: 30_000, ...(id in bodies && { json: bodies[id] }) };
  return api.call(toPath(path, values), call);
}

/** All that is stored, but for when a key was used. */
async function readAll(): Promise<unknown> {
  const tables = ["batches", "batch_members", "contacts", "instances", "idempotency_keys"];
  const { rows } = await stage.database.pool.query(
    tables
      .map(
        (table) =>
          `select '${table}', count(*)::integer, md5(string_agg(t::text, '' order by t::text)) from avatars.${table} t`,
      )
      .join(" union all "),
  );
  return rows;
}

function expectUnavailable(operation: Operation, answer: ApiAnswer): void {
  document.check(operation, answer);
  expect([operation.id, answer.status, answer.headers["retry-after"]]).toEqual([operation.id, 503, "5"]);
  expect(answer.json()).toMatchObject({ code: "unavailable" });
}

/** Metrics and a key's own secret need no Postgres, and the own key is remembered for some seconds. */
const needsNone = new Set(["getMetrics", "getOwnKey", "getCallbackSecret"]);
const needsPostgres = (operation: Operation) => isKeyed(operation) && !needsNone.has(operation.id);

test("a Postgres that is away makes every operation 503, changes nothing, and is noticed when it is back", async () => {
  const { api, valve } = await serveBehindValve();
  const before = await readAll();
  valve.set("away");
  const operations = document.operations.filter(needsPostgres);
  const answers = await Promise.all(operations.map(async (operation) => send(api, operation)));
  for (const [at, answer] of answers.entries()) expectUnavailable(operations[at]!, answer);
  expect((await api.call("/healthz")).status).toBe(200);
  expect((await api.call("/metrics")).status).toBe(200);
  const readiness = await api.call("/readyz");
  expect([readiness.status, readiness.json()]).toMatchObject([
    503,
    {
      status: "not-ready",
      missing: expect.arrayContaining([{ name: "postgres", detail: expect.any(String) }]),
    },
  ]);
  // Nobody knows the key without Postgres, which is no reason to call it wrong.
  const key = await stage.createKey();
  expect((await api.call("/v1/instances", { key })).status).toBe(503);
  expect(await readAll()).toEqual(before);
  expect(new Set(api.failures.map(({ problem }) => problem))).toEqual(new Set(["unavailable"]));
  valve.set("open");
  await eventually(async () => expect((await api.call("/readyz")).json()).toMatchObject({ status: "ready" }));
  expect((await api.call("/v1/instances", { key })).status).toBe(200);
});

// They wait for deadlines most of the time.
describe.concurrent("a Postgres", () => {
  test("that is frozen, so that nobody is told anything, makes them 503 too, in bounded time", async () => {
    const { api, valve } = await serveBehindValve();
    valve.set("frozen");
    const operations = document.operations.filter(needsPostgres);
    const answers = await Promise.all(operations.map(async (operation) => send(api, operation)));
    for (const [at, answer] of answers.entries()) expectUnavailable(operations[at]!, answer);
    valve.set("open");
    await eventually(async () => expect((await api.call("/v1/instances")).status).toBe(200));
  });

  test("that is slow is asked by so many at once and no more: the others are told to come again", async () => {
    const api = await stage.serve();
    const path = `/v1/instances/${instanceId}/contacts/${chatId}`;
    const keys = await Promise.all([1, 2, 3, 4].map(async () => stage.createKey()));
    for (const key of keys) expect((await api.call(path, { key })).status).toBe(200);
    const blocker = await stage.database.pool.connect();
    try {
      await blocker.query("begin");
      // What the other tests of this group do is not held up by it; a refresh would be.
      await blocker.query("lock table avatars.avatars in access exclusive mode");
      // One key alone may not have so many at work.
      const answers = await Promise.all(
        Array.from({ length: 300 }, async (_, index) =>
          api.call(path, { key: keys[index % keys.length]!, deadlineMs: 30_000 }),
        ),
      );
      for (const { status, headers } of answers) expect([status, headers["retry-after"]]).toEqual([503, "5"]);
      expect((await api.call("/healthz")).status).toBe(200);
    } finally {
      await blocker.query("rollback");
      blocker.release();
    }
    expect((await api.call(path)).status).toBe(200);
  });

  test("that loses connections at commits has every batch that was acknowledged, once", async () => {
    const cutter = await openCommitCutter(stage.database.url);
    closers.push(() => cutter.close());
    const api = await stage.serve({ databaseUrl: cutter.url });
    await api.call("/v1/instances");
    const cuts = ["before", "after"] as const;
    cutter.cut(...Array.from({ length: 60 }, (_, index) => cuts[index % 2]!));
    const post = (index: number, key: string) =>
      api.call("/v1/batches", {
        method: "POST",
        json: { instanceId, chatIds: makeChats(5, 1_000 + 5 * index) },
        headers: { "idempotency-key": key },
      });
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const key = randomUUID();
        return eventually(async () => {
          const answer = await post(index, key);
          if (answer.status !== 202) expect([409, 503]).toContain(answer.status);
          expect(answer.status).toBe(202);
          return answer;
        });
      }),
    );
    const ids = answers.map((answer) => String(answer.json()["id"]));
    expect(new Set(ids).size).toBe(12);
    const { rows } = await stage.database.pool.query<{ members: number }>(
      `select (select count(*)::integer from avatars.batch_members where batch_id = b.id) as members
       from avatars.batches b where id = any ($1)`,
      [ids],
    );
    expect(rows).toEqual(ids.map(() => ({ members: 5 })));
    const { rows: contacts } = await stage.database.pool.query(
      `select c.chat_id from avatars.batch_members m join avatars.contacts c on c.id = m.contact_id
       where c.chat_id = any ($1)`,
      [makeChats(60, 1_000)],
    );
    expect(contacts).toHaveLength(60);
  });
});

// By itself: its refresh reads the table that a test above locks.
test("without a queue contacts are taken in all the same", async () => {
  const config = readConfig({
    DATABASE_URL: stage.database.url,
    AVATARS_SECRET_KEY: secretKey,
    // Nobody listens there.
    REDIS_URL: "redis://127.0.0.1:9",
    PORT: "0",
  });
  const signal = new AbortController().signal;
  const app = await openApp(config, { defaultLogLevel: "silent", maxConnections: 2, migrate: false, signal });
  try {
    const { url } = await app.serveApi();
    const chatIds = makeChats(3, 3_000);
    const headers = { authorization: `Bearer ${stage.key}` };
    const answer = await callApi(url, "/v1/batches", {
      method: "POST",
      headers,
      json: { instanceId, chatIds },
    });
    expect([answer.status, answer.json()["counts"]]).toEqual([
      202,
      { accepted: 3, duplicates: 0, rejected: 0 },
    ]);
    const stream = await callApi(url, `/v1/batches?instanceId=${instanceId}`, {
      method: "POST",
      headers: { ...headers, "content-type": "text/plain" },
      body: chatIds.join("\n"),
    });
    expect(stream.status).toBe(202);
    const refreshed = await callApi(
      url,
      `/v1/instances/${instanceId}/contacts/${chatIds[0]!}/refresh?wait=0`,
      {
        method: "POST",
        headers,
      },
    );
    expect(refreshed.status).toBe(202);
    const readiness = await callApi(url, "/readyz");
    expect([readiness.status, readiness.json()]).toMatchObject([
      200,
      { status: "degraded", missing: [{ name: "queue" }] },
    ]);
  } finally {
    await app.close();
  }
});
