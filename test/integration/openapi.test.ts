import { randomUUID } from "node:crypto";
import { PassThrough } from "node:stream";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiScopes } from "../../src/domain/api-key.ts";
import type { ApiAnswer, ApiCall } from "../support/api-call.ts";
import { readDocument, toPath, type ApiDocument, type Operation } from "../support/api-document.ts";
import { openApiStage, type ApiStage, type TestApi } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { openPostgresValve } from "../support/postgres-valve.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";
const [chatId = "", ...otherChats] = makeChats(4);

let stage: ApiStage;
let document: ApiDocument;
/** Takes one request a minute of each key. */
let limited: TestApi;
/** Has no Postgres. */
let away: TestApi;
/** Has no patience, and takes no large bodies. */
let tight: TestApi;
/** A batch that is done. */
let batchId: string;
/** The contact of {@link chatId}, and the image that it shows. */
let contactId: string;
let sha256: string;
/** A webhook whose receiver is not there, and a change that it may be told of. */
let webhookId: string;
let feedId: number;
/** A removal that takes longer than a request should. */
let removal: Promise<ApiAnswer>;

beforeAll(async () => {
  stage = await openApiStage({ images: true });
  stage.simulator.setTruth({ chatId, kind: "present" });
  document = readDocument((await stage.call("/openapi.json")).text);
  await stage.addInstance(instanceId);
  removal = removeSlowly();
  limited = await stage.serve({ settings: { requestsPerMinute: 1 } });
  tight = await stage.serve({ settings: { maxBodyBytes: 4_000, wholeMs: 300, idleMs: 300 } });
  const valve = await openPostgresValve(stage.database.url);
  away = await stage.serve({ databaseUrl: valve.url });
  valve.set("away");
  closers.push(() => valve.close());
  await stage.startWorker();
  batchId = await enqueue(instanceId, [chatId, ...otherChats]);
  await eventually(async () =>
    expect((await stage.call(`/v1/batches/${batchId}`)).json()).toMatchObject({ state: "done" }),
  );
  await eventually(async () => {
    const contact = (await stage.call(`/v1/instances/${instanceId}/contacts/${chatId}`)).json();
    expect(contact["imageSha256"]).not.toBeNull();
    contactId = String(contact["contactId"]);
    sha256 = String(contact["imageSha256"]);
  });
  webhookId = await addWebhook();
  await eventually(async () => {
    const { items } = (await stage.call("/v1/changes")).json();
    expect(items).not.toEqual([]);
    feedId = Number((items as { id: number }[])[0]?.id);
  });
});

/** Its URL is refused when it is sent to. */
async function addWebhook(): Promise<string> {
  const added = await stage.call("/v1/webhooks", { method: "POST", json: newWebhook });
  expect(added.status).toBe(201);
  const id = String(added.json()["id"]);
  await stage.database.pool.query(
    "update avatars.webhook_endpoints set url = 'https://10.0.0.1/' where id = $1",
    [id],
  );
  return id;
}

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  await stage.close();
  for (const close of closers) await close();
});

async function enqueue(id: string, chatIds: readonly string[]): Promise<string> {
  const answer = await stage.call("/v1/batches", { method: "POST", json: { instanceId: id, chatIds } });
  expect(answer.status).toBe(202);
  return String(answer.json()["id"]);
}

/** Somebody has a row of it locked. */
async function removeSlowly(): Promise<ApiAnswer> {
  const id = await addPausedInstance();
  await enqueue(id, [chatId]);
  const blocker = await stage.database.pool.connect();
  try {
    await blocker.query("begin");
    await blocker.query("select from avatars.contacts where instance_id = $1 for update", [id]);
    return await stage.call(`/v1/instances/${id}?contacts=erase`, { method: "DELETE", deadlineMs: 30_000 });
  } finally {
    await blocker.query("rollback");
    blocker.release();
  }
}

let instances = 0;

/** Nobody calls it, so its contacts wait. */
async function addPausedInstance(): Promise<string> {
  instances += 1;
  const id = String(1101000100 + instances);
  await stage.addInstance(id);
  expect((await stage.call(`/v1/instances/${id}/pause`, { method: "POST" })).status).toBe(200);
  return id;
}

const newWebhook = { url: "https://crm.example/hooks" };
const newInstance = (id: string) => ({ id, apiUrl: "https://7103.api.greenapi.com", token: "secret" });

/** A request that is right, and names what there is. */
function toRequest({ id, method, path }: Operation): { values: Record<string, string>; call: ApiCall } {
  const values: Record<string, string> = path.startsWith("/v1/batches/{id}")
    ? { id: batchId }
    : path.startsWith("/v1/instances/{id}")
      ? { id: instanceId, ...(path.includes("{chatId}") && { chatId }) }
      : path.startsWith("/v1/webhooks/{id}")
        ? { id: webhookId }
        : path.startsWith("/v1/keys/{id}")
          ? { id: "000000000000" }
          : path.startsWith("/v1/contacts/{contactId}")
            ? { contactId, ...(path.includes("{sha256}") && { sha256 }) }
            : {};
  const bodies: Record<string, unknown> = {
    createBatch: { instanceId, chatIds: [chatId] },
    lookupContacts: { instanceId, chatIds: [chatId] },
    noteReveal: { instanceId, chatIds: [chatId] },
    addInstance: newInstance("1101000999"),
    changeInstance: { label: "Sales" },
    addWebhook: newWebhook,
    changeWebhook: { label: "Sales" },
    enableWebhook: { from: "now" },
    replayWebhook: { after: 0 },
    redeliverWebhook: { feedId },
    addKey: { scopes: ["read"] },
  };
  return { values, call: { method, ...(id in bodies && { json: bodies[id] }) } };
}

type Provoker = (operation: Operation) => Promise<ApiAnswer>;

/** Sends what is right for the operation, with something changed. */
async function send(
  operation: Operation,
  { api = stage, values = {}, ...call }: ApiCall & { api?: TestApi; values?: Record<string, string> } = {},
): Promise<ApiAnswer> {
  const right = toRequest(operation);
  const { json: _, ...rightWithoutBody } = right.call;
  return api.call(toPath(operation.path, { ...right.values, ...values }), {
    ...("body" in call ? rightWithoutBody : right.call),
    ...call,
  });
}

/** For a list of an instance that the key may not see. */
async function sendWithLimitedKey(operation: Operation): Promise<ApiAnswer> {
  const key = await stage.createKey({ instanceIds: ["1101000002"] });
  return send(operation, { key, values: { instanceId } });
}

const hasPath = ({ path }: Operation) => path.includes("{");
const idOf = ({ path }: Operation) => (path.includes("{contactId}") ? "contactId" : "id");
const hasBody = ({ bodies }: Operation) => "application/json" in bodies;
const json = { "content-type": "application/json" };

/** What provokes a status of any operation. Undefined: not of this one. */
const generic: Record<number, (operation: Operation) => Provoker | undefined> = {
  200: () => send,
  400(operation) {
    if (hasPath(operation)) return (it) => send(it, { values: { [idOf(it)]: "not-an-id" } });
    if (hasBody(operation)) return (it) => send(it, { headers: json, body: '{"instanceId":' });
    return (it) => send(it, { values: { limit: "0" } });
  },
  401: () => (it) => send(it, { key: undefined }),
  403: () => async (it) => {
    const scopes = apiScopes.filter((scope) => !it.scopes?.includes(scope));
    return send(it, { key: await stage.createKey({ scopes }) });
  },
  404(operation) {
    if (!hasPath(operation)) return undefined;
    const missing = { "/v1/batches": randomUUID(), "/v1/webhooks": "0".repeat(12) };
    const id = Object.entries(missing).find(([start]) => operation.path.startsWith(start))?.[1] ?? "999";
    return (it) => send(it, { values: { [idOf(it)]: id } });
  },
  408: (operation) =>
    hasBody(operation)
      ? (it) => {
          const body = new PassThrough();
          body.write("{");
          return send(it, { api: tight, headers: json, body });
        }
      : undefined,
  413: (operation) =>
    hasBody(operation)
      ? (it) => send(it, { api: tight, headers: json, body: `{"x":"${"x".repeat(5_000)}"}` })
      : undefined,
  415: (operation) =>
    hasBody(operation)
      ? (it) => send(it, { headers: { "content-type": "application/xml" }, body: "<x/>" })
      : undefined,
  429: () => async (it) => {
    const key = it.scopes && (await stage.createKey());
    const others = it.scopes ? 1 : 600;
    for (let sent = 0; sent < others; sent += 1) await limited.call("/healthz", { key });
    if (key) await limited.call("/v1/instances", { key });
    return send(it, { api: limited, key });
  },
  503: () => (it) => send(it, { api: away }),
};

/** What provokes a status of one operation, before or instead of the generic way. */
const special: Record<string, Record<number, Provoker>> = {
  getContactImage: {
    302: (it) => send(it, { values: { ...toRequest(it).values, v: "0123456789abcdef" } }),
    304: (it) => send(it, { headers: { "if-none-match": "*" } }),
  },
  listBatches: { 404: sendWithLimitedKey },
  listChanges: { 404: sendWithLimitedKey },
  listResyncRuns: { 404: sendWithLimitedKey },
  getResyncPlan: {
    400: (it) => send(it, { values: { instanceId: "not-an-id" } }),
    404: sendWithLimitedKey,
  },
  removeHook: {
    204: async (it) => {
      await stage.call(`/v1/instances/${instanceId}/hook`, { method: "POST" });
      return send(it);
    },
  },
  listAudit: { 404: sendWithLimitedKey },
  listContacts: { 404: sendWithLimitedKey },
  countContacts: {
    400: (it) => send(it, { values: { instanceId: "not-an-id" } }),
    404: sendWithLimitedKey,
  },
  noteReveal: {
    204: send,
    404: (it) => send(it, { json: { instanceId: "999", chatIds: [chatId] } }),
  },
  lookupContacts: { 404: (it) => send(it, { json: { instanceId: "999", chatIds: [chatId] } }) },
  createBatch: {
    202: send,
    404: (it) => send(it, { json: { instanceId: "999", chatIds: [chatId] } }),
    409: (it) =>
      send(it, {
        values: { instanceId, resume: batchId },
        headers: { "content-type": "application/x-ndjson" },
        body: `{"chatId":"${chatId}"}\n`,
      }),
    422: (it) => send(it, { values: { strict: "true" }, json: { instanceId, chatIds: [chatId, "nobody"] } }),
  },
  watchBatch: {
    async 204(it) {
      const { text } = await send(it);
      const [, last = ""] = /id: (.*)\nevent: done/.exec(text) ?? [];
      return send(it, { headers: { "last-event-id": last } });
    },
  },
  refreshContact: {
    202: (it) => send(it, { values: { wait: "0" } }),
  },
  refreshContactById: {
    202: (it) => send(it, { values: { wait: "0" } }),
  },
  eraseContactById: {
    async 204(it) {
      const id = await addPausedInstance();
      await enqueue(id, [chatId]);
      const contact = (await stage.call(`/v1/instances/${id}/contacts/${chatId}`)).json();
      return send(it, { values: { contactId: String(contact["contactId"]) } });
    },
  },
  getEarlierImage: {
    304: (it) => send(it, { headers: { "if-none-match": "*" } }),
    async 410(it) {
      const gone = "ab".repeat(32);
      await stage.database.pool.query(
        "insert into avatars.avatar_changes (contact_id, from_sha256, seen_at) values ($1, decode($2, 'hex'), now())",
        [contactId, gone],
      );
      return send(it, { values: { sha256: gone } });
    },
  },
  eraseContact: {
    async 204(it) {
      const id = await addPausedInstance();
      await enqueue(id, [chatId]);
      return send(it, { values: { id } });
    },
  },
  getStatus: {
    400: (it) => send(it, { values: { instanceId: "not-an-id" } }),
    404: sendWithLimitedKey,
  },
  addKey: {
    201: send,
    400: (it) => send(it, { headers: json, body: '{"scopes":' }),
  },
  revokeKey: {
    async 204(it) {
      return send(it, { values: { id: (await stage.createKey()).slice(4, 16) } });
    },
    404: send,
  },
  addInstance: {
    201: send,
    409: (it) => send(it, { json: newInstance(instanceId) }),
  },
  addWebhook: {
    201: send,
    404: async (it) =>
      send(it, {
        key: await stage.createKey({ instanceIds: ["1101000002"] }),
        json: { ...newWebhook, instanceIds: [instanceId] },
      }),
    async 409(it) {
      const { pool } = stage.database;
      await pool.query(
        `insert into avatars.webhook_endpoints (id, url, types, sealed_secret, cursor, state, disabled_reason, disabled_at)
         select 'many' || n, 'https://crm.example', '{}', '', 0, 'disabled', 'operator', now() from generate_series(1, 100) n`,
      );
      const answer = await send(it);
      await pool.query("delete from avatars.webhook_endpoints where id like 'many%'");
      return answer;
    },
  },
  changeWebhook: {
    async 409(it) {
      const id = await addWebhook();
      await stage.database.pool.query(
        "update avatars.webhook_endpoints set sealed_secret = 'v2.a.b.c' where id = $1",
        [id],
      );
      return send(it, { values: { id }, json: newWebhook });
    },
  },
  removeWebhook: {
    204: async (it) => send(it, { values: { id: await addWebhook() } }),
  },
  removeInstance: {
    202: () => removal,
    async 204(it) {
      return send(it, { values: { id: await addPausedInstance() } });
    },
    409: send,
  },
};

describe("the document", () => {
  test("has no fault by the recommended rules", async () => {
    const config = await createConfig({ extends: ["recommended"] });
    const problems = await lintFromString({ source: document.text, config });
    const told = problems.map(({ severity, ruleId, message, location: [at] }) =>
      [severity, ruleId, message, at?.pointer].join(" "),
    );
    expect(told).toEqual([]);
  });

  test("has every operation once, each with a name of its own", () => {
    const ids = document.operations.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(20);
    expect(Object.keys(special).filter((id) => !ids.includes(id))).toEqual([]);
  });

  test("names no status 5xx but 503, and no status that is only ours to make up", () => {
    const statuses = new Set(document.operations.flatMap((operation) => operation.statuses));
    expect([...statuses].sort((a, b) => a - b)).toEqual([
      200, 201, 202, 204, 302, 304, 400, 401, 403, 404, 408, 409, 410, 413, 415, 422, 429, 503,
    ]);
  });
});

describe("the server", () => {
  test("answers every operation with every status that the document declares, and as it declares it", async () => {
    const faults: string[] = [];
    const walk = async (operation: Operation, status: number) => {
      const provoke = special[operation.id]?.[status] ?? generic[status]?.(operation);
      if (!provoke) return void faults.push(`${operation.id} ${status}: declared, and nothing provokes it`);
      try {
        const answer = await provoke(operation);
        document.check(operation, answer);
        if (answer.status !== status) throw new Error(`${answer.status} ${answer.text.slice(0, 300)}`);
      } catch (error) {
        faults.push(`${operation.id} ${status}: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    for (const operation of document.operations)
      for (const status of operation.statuses) await walk(operation, status);
    expect(faults).toEqual([]);
    expect(stage.failures).toEqual([]);
    expect(tight.failures).toEqual([]);
  });
});
