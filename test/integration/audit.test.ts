import { randomUUID } from "node:crypto";
import { userInfo } from "node:os";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApp, type App } from "../../src/app/app.ts";
import { readConfig } from "../../src/config.ts";
import type { AuditAction } from "../../src/domain/audit.ts";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { IntakeRecord } from "../../src/intake/records/intake-record.ts";
import { removeInSteps } from "../../src/store/retention/remove-in-steps.ts";
import { createAuditRemover } from "../../src/store/retention/remove-old-audit.ts";
import type { ApiAnswer, ApiCall } from "../support/api-call.ts";
import { readDocument, toPath, type ApiDocument } from "../support/api-document.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { makeChats, secretKey } from "../support/stage.ts";

const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const chats = makeChats(40);
const operator = { kind: "cli", name: userInfo().username } as const;

let stage: ApiStage;
let app: App;
let document: ApiDocument;

beforeAll(async () => {
  stage = await openApiStage({ env: { AVATARS_WEBHOOK_NETWORKS: "127.0.0.0/8" } });
  document = readDocument((await stage.call("/openapi.json")).text);
  app = await openApp(
    readConfig({ DATABASE_URL: stage.database.url, AVATARS_SECRET_KEY: secretKey, AVATARS_IMAGES: "off" }),
    { defaultLogLevel: "silent", maxConnections: 2, migrate: false, signal: new AbortController().signal },
  );
});
afterAll(async () => {
  await app.close();
  await stage.close();
});

interface Row {
  readonly action: string;
  readonly actor_kind: string;
  readonly actor_id: string | null;
  readonly actor_name: string | null;
  readonly subject_id: string | null;
  readonly instance_id: string | null;
  readonly contact_hash: string | null;
  readonly detail: Record<string, unknown>;
  readonly address: string | null;
  readonly text: string;
}

async function readRows(requestId: string): Promise<Row[]> {
  const { rows } = await stage.database.pool.query<Row>(
    "select a.*, a::text as text from avatars.audit a where request_id = $1",
    [requestId],
  );
  return rows;
}

let made = 0;
/** An instance that no worker calls. */
async function addInstance(): Promise<string> {
  made += 1;
  const id = String(1101000000 + made);
  await stage.addInstance(id, { apiUrl: "http://127.0.0.1:9" });
  return id;
}

async function enqueue(instanceId: string, chatIds: readonly string[]): Promise<string> {
  const answer = await stage.call("/v1/batches", { method: "POST", json: { instanceId, chatIds } });
  expect(answer.status).toBe(202);
  return String(answer.json()["id"]);
}

async function addWebhook(url = "https://crm.example/hooks"): Promise<string> {
  const answer = await stage.call("/v1/webhooks", { method: "POST", json: { url } });
  expect(answer.status).toBe(201);
  return String(answer.json()["id"]);
}

const nextChat = () => chats.shift()!;

interface Sent extends ApiCall {
  readonly values?: Readonly<Record<string, string>>;
}

/** Every operation that changes something, with a request for it, and the row that it leaves. */
const audited: Readonly<Record<string, readonly [AuditAction, () => Promise<Sent>]>> = {
  createBatch: [
    "batch.created",
    async () => ({ json: { instanceId: await addInstance(), chatIds: [nextChat()], label: nextChat() } }),
  ],
  cancelBatch: [
    "batch.cancelled",
    async () => ({ values: { id: await enqueue(await addInstance(), [nextChat()]) } }),
  ],
  retryBatch: [
    "batch.retried",
    async () => {
      const id = await enqueue(await addInstance(), [nextChat()]);
      await stage.call(`/v1/batches/${id}/cancel`, { method: "POST" });
      return { values: { id } };
    },
  ],
  eraseContact: [
    "contact.erased",
    async () => {
      const [id, chatId] = [await addInstance(), nextChat()];
      await enqueue(id, [chatId]);
      return { values: { id, chatId } };
    },
  ],
  eraseContactById: [
    "contact.erased",
    async () => {
      const [id, chatId] = [await addInstance(), nextChat()];
      await enqueue(id, [chatId]);
      const contact = await stage.call(`/v1/instances/${id}/contacts/${chatId}`);
      return { values: { contactId: String(contact.json()["contactId"]) } };
    },
  ],
  addKey: ["key.created", async () => ({ json: { scopes: ["read"] } })],
  revokeKey: [
    "key.revoked",
    async () => ({ values: { id: (await stage.createKey({ scopes: ["read"] })).slice(4, 16) } }),
  ],
  addInstance: [
    "instance.added",
    async () => ({ json: { id: "1101000900", apiUrl: "https://7103.api.greenapi.com", token } }),
  ],
  changeInstance: [
    "instance.changed",
    async () => ({ values: { id: await addInstance() }, json: { requestsPerSecond: 3, token } }),
  ],
  pauseInstance: ["instance.paused", async () => ({ values: { id: await addInstance() } })],
  resumeInstance: [
    "instance.resumed",
    async () => {
      const id = await addInstance();
      await stage.call(`/v1/instances/${id}/pause`, { method: "POST" });
      return { values: { id } };
    },
  ],
  removeInstance: ["instance.removed", async () => ({ values: { id: await addInstance() } })],
  renewHook: ["instance.hook-set", async () => ({ values: { id: await addInstance() } })],
  removeHook: [
    "instance.hook-removed",
    async () => {
      const id = await addInstance();
      await stage.call(`/v1/instances/${id}/hook`, { method: "POST" });
      return { values: { id } };
    },
  ],
  addWebhook: ["webhook.added", async () => ({ json: { url: `https://crm.example/${token}` } })],
  changeWebhook: [
    "webhook.changed",
    async () => ({ values: { id: await addWebhook() }, json: { url: `https://other.example/${token}` } }),
  ],
  disableWebhook: ["webhook.disabled", async () => ({ values: { id: await addWebhook() } })],
  enableWebhook: [
    "webhook.enabled",
    async () => {
      const id = await addWebhook();
      await stage.call(`/v1/webhooks/${id}/disable`, { method: "POST" });
      return { values: { id }, json: { from: "stopped" } };
    },
  ],
  rotateWebhook: ["webhook.rotated", async () => ({ values: { id: await addWebhook() } })],
  replayWebhook: [
    "webhook.replayed",
    async () => ({ values: { id: await addWebhook() }, json: { after: 0 } }),
  ],
  testWebhook: ["webhook.tested", async () => ({ values: { id: await addWebhook("http://127.0.0.1:9/") } })],
  redeliverWebhook: [
    "webhook.redelivered",
    async () => {
      const { rows } = await stage.database.pool.query<{ id: string }>(
        "insert into avatars.webhook_events (type, instance_id) values ('instance.resumed', $1) returning id",
        [await addInstance()],
      );
      const feedId = Number(rows[0]?.id);
      return { values: { id: await addWebhook("http://127.0.0.1:9/") }, json: { feedId } };
    },
  ],
  removeWebhook: ["webhook.removed", async () => ({ values: { id: await addWebhook() } })],
  noteReveal: [
    "contact.revealed",
    async () => ({ json: { instanceId: await addInstance(), chatIds: [nextChat()] } }),
  ],
};

/** Operations that are sent with a body or so, and leave no row, and why. */
const unaudited: Readonly<Record<string, string>> = {
  lookupContacts: "reads",
  refreshContact: "a request for one contact: a million of them make no million rows",
  refreshContactById: "the same",
};

async function send(
  operationId: string,
  { values = {}, ...call }: Sent,
  requestId: string,
): Promise<ApiAnswer> {
  const operation = document.operations.find(({ id }) => id === operationId)!;
  return stage.call(toPath(operation.path, values), {
    method: operation.method,
    ...call,
    headers: { "x-request-id": requestId, ...call.headers },
  });
}

/** All that an operation may change. */
async function digestAll(): Promise<unknown> {
  const tables = [
    "webhook_endpoints",
    "instances",
    "batches",
    "batch_members",
    "contacts",
    "erased_chats",
    "api_keys",
    "audit",
  ];
  const digests = tables.map((table) => {
    // Notes of how far it was looked, and when a key was used, are no part of it.
    const row = "to_jsonb(t) - 'last_used_at' - 'settled_through'";
    return `(select md5(string_agg((${row})::text, '' order by (${row})::text)) from avatars.${table} t) as ${table}`;
  });
  return (await stage.database.pool.query(`select ${digests.join(", ")}`)).rows[0];
}

describe("over HTTP", () => {
  test("each operation that changes something is known to the audit log, or has a reason to be left out", () => {
    const changing = document.operations.filter(({ method }) => method !== "GET").map(({ id }) => id);
    expect(changing.toSorted()).toEqual([...Object.keys(audited), ...Object.keys(unaudited)].toSorted());
  });

  test("each leaves one row, with its key, its request and no secret, and a row more is left by none", async () => {
    const key = await stage.createKey();
    const keyId = key.slice(4, 16);
    for (const [id, [action, arrange]] of Object.entries(audited)) {
      const sent = await arrange();
      const requestId = randomUUID();
      const answer = await send(id, { ...sent, key }, requestId);
      expect(answer.status, id).toBeLessThan(300);
      const rows = await readRows(requestId);
      expect(rows, id).toMatchObject([
        { action, actor_kind: "key", actor_id: keyId, actor_name: null, address: "127.0.0.1" },
      ]);
      expect(rows[0]?.text, id).not.toContain(token);
      expect(rows[0]?.text, id).not.toContain("@c.us");
      expect(rows[0]?.text, id).not.toContain("avh_");
    }
  });

  test("none happens where its row cannot be written", async () => {
    const { pool } = stage.database;
    await pool.query(`create function public.refuse() returns trigger language plpgsql as
      $$ begin if new.request_id like 'refused-%' then raise 'refused'; end if; return new; end $$`);
    await pool.query(
      "create trigger refuse before insert on avatars.audit for each row execute function public.refuse()",
    );
    try {
      for (const [id, [, arrange]] of Object.entries(audited)) {
        const sent = await arrange();
        const { json, ...other } = sent as Sent & { json?: Record<string, unknown> };
        // What was added by the test before is there.
        const call = id === "addInstance" ? { ...other, json: { ...json, id: "1101000901" } } : sent;
        const before = await digestAll();
        const answer = await send(id, call, `refused-${id}`);
        expect(answer.status, id).toBeGreaterThanOrEqual(500);
        expect(await digestAll(), id).toEqual(before);
      }
    } finally {
      await pool.query("drop trigger refuse on avatars.audit; drop function public.refuse()");
    }
  });

  test("a stream leaves one row, and the same request again none", async () => {
    const instanceId = await addInstance();
    const headers = { "content-type": "text/plain", "idempotency-key": randomUUID() };
    const path = `/v1/batches?instanceId=${instanceId}`;
    const sent: string[] = [];
    for (const body of [chats.slice(0, 3).join("\n"), chats.slice(0, 3).join("\n")]) {
      const requestId = randomUUID();
      sent.push(requestId);
      const answer = await stage.call(path, {
        method: "POST",
        headers: { ...headers, "x-request-id": requestId },
        body: Readable.from([body]),
      });
      expect(answer.status).toBe(202);
    }
    expect(await readRows(sent[0]!)).toMatchObject([{ action: "batch.created", instance_id: instanceId }]);
    expect(await readRows(sent[1]!)).toEqual([]);
  });

  test("what changes nothing leaves no row", async () => {
    const id = await addInstance();
    await stage.call(`/v1/instances/${id}/pause`, { method: "POST" });
    const batchId = await enqueue(id, [nextChat()]);
    await stage.call(`/v1/batches/${batchId}/cancel`, { method: "POST" });
    for (const [operation, sent] of Object.entries({
      pauseInstance: { values: { id } },
      cancelBatch: { values: { id: batchId } },
      changeInstance: { values: { id }, json: {} },
      addInstance: { json: { id, apiUrl: "https://7103.api.greenapi.com", token } },
      eraseContact: { values: { id, chatId: nextChat() } },
      removeInstance: { values: { id: "1101999999" } },
    })) {
      const requestId = randomUUID();
      await send(operation, sent, requestId);
      expect(await readRows(requestId), operation).toEqual([]);
    }
  });

  test("a change tells what was before and after, and of a token that it is another one", async () => {
    const id = await addInstance();
    const requestId = randomUUID();
    await send(
      "changeInstance",
      { values: { id }, json: { requestsPerSecond: 4, label: "Sales", token } },
      requestId,
    );
    expect((await readRows(requestId))[0]?.detail).toEqual({
      requestsPerSecond: { from: null, to: 4 },
      label: { from: null, to: "Sales" },
      credentials: "new",
    });
  });
});

const list = async (query: string, key?: string) => {
  const answer = await stage.call(`/v1/audit${query}`, key === undefined ? {} : { key });
  expect(answer.status).toBe(200);
  return answer.json() as { items: Record<string, unknown>[]; next: string | null };
};

const listActions = async (query: string) => (await list(query)).items.map(({ action }) => action);

describe("the log", () => {
  test("is read newest first, page by page, narrowed by who, what and when", async () => {
    const id = await addInstance();
    const from = new Date().toISOString();
    for (const action of ["pause", "resume", "pause", "resume"])
      await stage.call(`/v1/instances/${id}/${action}`, { method: "POST" });
    const four = ["instance.resumed", "instance.paused", "instance.resumed", "instance.paused"];
    expect(await listActions(`?instanceId=${id}&from=${from}`)).toEqual(four);
    expect(await listActions(`?subject=${id}&action=instance.paused`)).toEqual([four[1], four[3]]);
    expect(await listActions(`?instanceId=${id}&action=instance.`)).toEqual([...four, "instance.added"]);
    expect(await listActions(`?instanceId=${id}&until=${from}`)).toEqual(["instance.added"]);
    expect(await listActions(`?instanceId=${id}&actor=${operator.name}`)).toEqual(["instance.added"]);
    expect(await listActions(`?instanceId=${id}&actor=${stage.key.slice(4, 16)}`)).toEqual(four);
    const paged: unknown[] = [];
    let next: string | null = "";
    while (next !== null) {
      const page: { items: Record<string, unknown>[]; next: string | null } = await list(
        `?instanceId=${id}&limit=2${next && `&cursor=${next}`}`,
      );
      paged.push(...page.items.map(({ action }) => action));
      next = page.next;
    }
    expect(paged).toEqual([...four, "instance.added"]);
  });

  test("a filter that few rows pass reads all of it, in pages that may be empty", async () => {
    const id = await addInstance();
    await stage.database.pool.query(
      "insert into avatars.audit (actor_kind, action, at) select 'worker', 'key.created', now() from generate_series(1, 12000)",
    );
    const first = await list(`?subject=${id}`);
    expect([first.items, typeof first.next]).toEqual([[], "string"]);
    const second = await list(`?subject=${id}&cursor=${String(first.next)}`);
    expect(second).toMatchObject({ items: [{ action: "instance.added", subjectId: id }], next: null });
    await stage.database.pool.query("delete from avatars.audit where actor_kind = 'worker'");
  });

  test("shows a limited key the rows of its instances, and needs a scope of its own", async () => {
    const [id, other] = [await addInstance(), await addInstance()];
    const key = await stage.createKey({ scopes: ["audit"], instanceIds: [id] });
    expect((await list("", key)).items.map(({ instanceId }) => instanceId)).toEqual([id]);
    expect((await stage.call(`/v1/audit?instanceId=${other}`, { key })).status).toBe(404);
    const admin = await stage.createKey({ scopes: ["admin", "read", "enqueue"] });
    expect((await stage.call("/v1/audit", { key: admin })).status).toBe(403);
  });

  test("names a contact whose number was shown until it is erased, and then says no more of whom", async () => {
    const [id, chatId] = [await addInstance(), nextChat()];
    await enqueue(id, [chatId]);
    const reveal = (...chatIds: string[]) =>
      stage.call("/v1/audit/reveals", { method: "POST", json: { instanceId: id, chatIds } });
    expect((await reveal(chatId)).status).toBe(204);
    expect((await reveal(chatId, nextChat(), nextChat())).status).toBe(204);
    expect((await reveal("not a number")).status).toBe(400);
    const shown = await list(`?contact=${chatId}`);
    expect(shown.items).toMatchObject([
      { action: "contact.revealed", detail: { contacts: 1 }, contact: expect.stringMatching(/^[\w-]{43}$/) },
    ]);
    expect((await stage.call(`/v1/instances/${id}/contacts/${chatId}`, { method: "DELETE" })).status).toBe(
      204,
    );
    expect((await list(`?contact=${chatId}`)).items).toEqual([]);
    expect((await list(`?instanceId=${id}&action=contact.`)).items).toMatchObject([
      { action: "contact.erased", contact: null, subjectId: null, detail: {} },
      { action: "contact.revealed", contact: null, detail: { contacts: 3 } },
      { action: "contact.revealed", contact: null, detail: { contacts: 1 } },
    ]);
  });

  test("loses rows when they are old", async () => {
    const { pool } = stage.database;
    const { rows } = await pool.query<{ id: string }>(
      `insert into avatars.audit (actor_kind, action, at)
       values ('worker', 'key.created', now() - interval '400 days 1 hour'), ('worker', 'key.created', now() - interval '399 days')
       returning id`,
    );
    const removal = await removeInSteps(pool, {
      gate: "old audit",
      removeSome: createAuditRemover(400 * 86_400_000),
      signal: new AbortController().signal,
    });
    expect(removal).toEqual({ removed: { audits: 1 }, isMore: false });
    const kept = await pool.query("select id from avatars.audit where id = any ($1)", [
      rows.map(({ id }) => id),
    ]);
    expect(kept.rows).toEqual([{ id: rows[1]?.id }]);
  });
});

describe("at the command line", () => {
  test("each command that changes something leaves one row with its user", async () => {
    const id = "1101000800" as InstanceId;
    const apiUrl = "http://127.0.0.1:9";
    await app.instances.put({ id, apiUrl, token }, app.operator);
    await app.instances.put({ id, apiUrl, token }, app.operator);
    await app.instances.changeAsOperator(id, { requestsPerSecond: 2 }, app.operator);
    await app.instances.pause(id, app.operator);
    await app.instances.resume(id, app.operator);
    let batchId = "";
    const chatId = nextChat() as ChatId;
    const batch = { instanceId: id, source: "file", label: chatId, priority: 1, maxAgeMs: 0 };
    async function* readRecords(): AsyncGenerator<IntakeRecord[]> {
      yield [{ kind: "contact", chatId, position: 1, externalRef: undefined }];
    }
    await app.batches.importRecords(
      readRecords(),
      batch,
      { strict: false, signal: new AbortController().signal },
      { reject: () => undefined, opened: (opened) => (batchId = opened) },
      app.operator,
    );
    await app.batches.cancel(batchId, app.operator);
    await app.resyncs.open({ instanceId: id, filter: undefined, mostContacts: 5 }, app.operator);
    await app.instances.remove(id, app.operator);
    const { key } = await app.apiKeys.create({ scopes: ["read"], label: "crm" }, app.operator);
    await app.apiKeys.revoke(key.id, app.operator);
    await app.apiKeys.revoke(key.id, app.operator);
    const filter = { actor: operator.name, contactHash: undefined, from: undefined, until: undefined };
    const ofInstance = await app.audit.list(
      { ...filter, instanceIds: [id], action: undefined, subjectId: undefined },
      { after: undefined, limit: 100 },
    );
    expect(ofInstance.items.map(({ action }) => action)).toEqual([
      "instance.removed",
      "resync.opened",
      "batch.cancelled",
      "batch.created",
      "instance.resumed",
      "instance.paused",
      "instance.changed",
      "instance.changed",
      "instance.added",
    ]);
    const ofKey = await app.audit.list(
      { ...filter, instanceIds: undefined, action: undefined, subjectId: key.id },
      { after: undefined, limit: 100 },
    );
    expect(ofKey.items.map(({ action, detail }) => [action, detail])).toEqual([
      ["key.revoked", { label: "crm" }],
      ["key.created", { label: "crm", scopes: ["read"] }],
    ]);
    const text = JSON.stringify([ofInstance, ofKey]);
    expect(text).not.toContain(token);
    for (const chatId of makeChats(40)) expect(text).not.toContain(chatId);
  });
});
