import type { Job, Queue } from "bullmq";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApp, type App } from "../../src/app/app.ts";
import { readConfig } from "../../src/config.ts";
import type { ChatId } from "../../src/domain/chat-id.ts";
import { toHold } from "../../src/domain/trouble/hold.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { forgetChat } from "../../src/intake/forget-chat.ts";
import { createChatHash } from "../../src/lib/secrets/chat-hash.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { findInPostgres, findInRedis } from "../support/find-traces.ts";
import { ask, paceSettings, present, toRecord } from "../support/ledger.ts";
import { openQueueClient, type QueueClient } from "../support/queue-client.ts";
import { makeChats, secretKey } from "../support/stage.ts";

const instanceId = "1101000001" as InstanceId;
const [erased, other, another] = makeChats(3, 555_000) as [ChatId, ChatId, ChatId];
/** By the provider, and by no request. */
const named = "79990000000@c.us" as ChatId;
const digits = erased.slice(0, -"@c.us".length);
const spaced = `+7 (900) ${digits.slice(4, 7)}-${digits.slice(7, 9)}-${digits.slice(9)}`;
const contact = `/v1/instances/${instanceId}/contacts/${erased}`;
const monthMs = 30 * 86_400_000;

async function whenOver(queue: Queue, { id = "" }: Job, state: string): Promise<void> {
  await eventually(async () => expect(await queue.getJobState(id)).toBe(state));
}

describe.each(listBackends())("on $name", (backend) => {
  let stage: ApiStage;
  let app: App;
  let requests: QueueClient;
  let ledger: RunLedger;
  let redis: Redis | undefined;

  beforeAll(async () => {
    const env = await backend.open();
    stage = await openApiStage({ env });
    const settings = { ...env, DATABASE_URL: stage.database.url };
    app = await openApp(
      readConfig({ ...settings, AVATARS_SECRET_KEY: secretKey, AVATARS_REQUESTS_PER_SECOND: "900" }),
      {
        defaultLogLevel: "silent",
        maxConnections: 4,
        migrate: false,
        signal: new AbortController().signal,
      },
    );
    requests = openQueueClient(settings, "avatar-requests");
    await requests.queue.waitUntilReady();
    if (env["REDIS_URL"] !== undefined) redis = new Redis(env["REDIS_URL"]);
    ledger = createRunLedger(stage.database, {
      ...paceSettings,
      hashErased: createChatHash(Buffer.from(secretKey, "base64"), "erased chats"),
    });
    await stage.addInstance(instanceId);
  });
  afterAll(async () => {
    redis?.disconnect();
    await requests.close();
    await app.close();
    await stage.close();
  });

  async function findTraces(): Promise<string[]> {
    const keys = redis ? await findInRedis(redis, digits) : [];
    return [...(await findInPostgres(stage.database.pool, digits)), ...keys];
  }

  /** By every way in. */
  async function makeKnown(): Promise<void> {
    const whole = {
      instanceId,
      contacts: [{ chatId: erased, externalRef: "crm-1" }, { phone: `+${digits}` }],
    };
    const headers = { "idempotency-key": "whole" };
    const posted = await stage.call("/v1/batches", { method: "POST", json: whole, headers });
    expect(posted.status).toBe(202);
    const stream = await stage.call(`/v1/batches?instanceId=${instanceId}`, {
      method: "POST",
      headers: { "content-type": "text/plain", "idempotency-key": "stream" },
      body: `${erased}\n${other}\n${digits}@nowhere\n`,
    });
    expect(stream.status).toBe(202);
    await stage.database.pool.query("select avatars.enqueue($1, $2)", [instanceId, [erased, other]]);
    expect((await stage.call(`${contact}/refresh?wait=0`, { method: "POST" })).status).toBe(202);
  }

  /** Of contacts that the resync of a night has made due, with a picture that has changed. */
  async function makeHistory(): Promise<void> {
    await eventually(async () =>
      expect((await stage.call(contact)).json()).toMatchObject({
        pending: false,
        status: expect.any(String),
      }),
    );
    await stage.database.pool.query(
      `insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
       select id, 'https://pps.whatsapp.net/' || chat_id, '/1/' || chat_id, now(), now() from avatars.contacts where chat_id = $1
       on conflict (contact_id) do update set version = excluded.version, url = excluded.url`,
      [erased],
    );
    await stage.database.pool.query("update avatars.avatars set version = '/2'");
    expect((await stage.call(`${contact}/history`)).json()["items"]).not.toHaveLength(0);
  }

  const add = async (data: unknown, options = {}) => requests.queue.add("request", data, options);

  async function hold(allowedChatIds: readonly ChatId[]): Promise<unknown> {
    const limits = { probeBaseMs: monthMs, probeMaxMs: monthMs };
    const askedAt = Date.now() + 1_000;
    return ledger.holdInstance(
      instanceId,
      { ...toHold("correspondents-exhausted", limits), allowedChatIds },
      askedAt,
    );
  }

  async function readAllowed(): Promise<unknown> {
    const { rows } = await stage.database.pool.query("select allowed_chat_ids as ids from avatars.instances");
    return rows[0];
  }

  test("an erased contact is in no table, queue and list, nor is it there later", async () => {
    const worker = await app.startWorker();
    await makeKnown();
    const done = await add({
      instanceId,
      chatIds: [erased, `${digits}@nowhere`, spaced],
      externalRef: "crm-1",
    });
    await whenOver(requests.queue, done, "completed");
    const byName = await add({ instanceId, chatIds: [erased, other] }, { jobId: `for-${digits}` });
    await whenOver(requests.queue, byName, "completed");
    const wrong = await add({ instanceId, chatIds: [erased, other], priority: 9 });
    await whenOver(requests.queue, wrong, "failed");
    const odd = await add({ instanceId, chatId: erased });
    await whenOver(requests.queue, odd, "failed");
    await makeHistory();
    await worker.stop();

    const waiting = await add({ instanceId, chatIds: [spaced, another], externalRef: ["crm-1", "crm-3"] });
    await add({ instanceId: Number(instanceId), chatIds: [erased.toUpperCase()] });
    const later = await add({ instanceId, chatIds: [another, erased] }, { delay: 60_000 });
    // Its call is in flight, and the answer comes when it is gone.
    await stage.database.pool.query("select avatars.enqueue($1, $2, max_age => '0')", [instanceId, [erased]]);
    const { contacts, epoch } = await ask(ledger, instanceId);
    const inFlight = contacts.find(({ chatId }) => chatId === erased)!;
    expect(await hold([erased, other])).toBeDefined();
    const before = await findTraces();
    expect(before).toEqual(expect.arrayContaining(["avatars.contacts", "avatars.instances"]));
    expect(before.filter((place) => /job|avatar-requests/.test(place))).not.toEqual([]);

    expect((await stage.call(contact, { method: "DELETE" })).status).toBe(204);
    expect(await findTraces()).toEqual([]);
    expect(await readAllowed()).toEqual({ ids: [other] });

    // What was on its way.
    await ledger.saveLookups([toRecord(inFlight.contactId, epoch, Date.now(), present(`/${digits}`))]);
    expect(await ledger.endHold(instanceId, erased, Date.now() + 1_000)).toBe("held");
    await hold([erased]);
    expect(await findTraces()).toEqual([]);
    expect(await readAllowed()).toEqual({ ids: [] });

    // A fresh hold does not learn of it either; it does of chats that are no contacts yet.
    await stage.database.pool.query("update avatars.instances set state = 'active', held_until = null");
    await hold([erased, other, named]);
    expect(await readAllowed()).toEqual({ ids: [other, named] });
    expect(await findTraces()).toEqual([]);
    await stage.database.pool.query(
      "update avatars.instances set state = 'active', held_until = null, allowed_chat_ids = null",
    );

    const again = await app.startWorker();
    await whenOver(requests.queue, waiting, "completed");
    await (await requests.queue.getJob(later.id ?? ""))?.promote();
    await whenOver(requests.queue, later, "completed");
    const { rows } = await stage.database.pool.query(
      "select chat_id, external_ref from avatars.contacts order by chat_id",
    );
    expect(rows).toEqual([
      { chat_id: other, external_ref: null },
      { chat_id: another, external_ref: "crm-3" },
    ]);
    await again.stop();
    expect(await findTraces()).toEqual([]);
    expect((await stage.call(contact, { method: "DELETE" })).status).toBe(404);
    expect(stage.failures).toEqual([]);
  });

  test("an instance that is removed with its contacts is in no request any more", async () => {
    const gone = "1101000009";
    await stage.addInstance(gone);
    await add({ instanceId: gone, chatIds: [erased, other] });
    const others = await add({ instanceId, chatIds: [another] }, { delay: 60_000 });
    expect(await findTraces()).not.toEqual([]);
    const removed = await stage.call(`/v1/instances/${gone}?contacts=erase`, { method: "DELETE" });
    expect([200, 202, 204]).toContain(removed.status);
    await eventually(async () => expect(await findTraces()).toEqual([]));
    expect(await requests.queue.getJobState(others.id ?? "")).toBe("delayed");
    await others.remove();
  });

  test("a request that was taken in keeps none of its data, and is not taken in again", async () => {
    const worker = await app.startWorker();
    const job = await add({ instanceId, chatIds: [another] });
    await whenOver(requests.queue, job, "completed");
    const kept = await requests.queue.getJob(job.id ?? "");
    expect(kept?.data).toEqual({ taken: kept?.returnvalue });
    const countSql = "select from avatars.batches where source = 'bullmq'";
    const { rowCount: before } = await stage.database.pool.query(countSql);
    const repeated = await add(kept?.data);
    await whenOver(requests.queue, repeated, "completed");
    expect((await requests.queue.getJob(repeated.id ?? ""))?.returnvalue).toEqual(kept?.returnvalue);
    expect((await stage.database.pool.query(countSql)).rowCount).toBe(before);
    await worker.stop();
  });
});

describe("a chat in a request", () => {
  const forget = (data: unknown) => forgetChat(data, instanceId, erased);

  test.each([
    ["that does not name it", { instanceId, chatIds: [other] }, { kind: "untouched" }],
    ["of another instance", { instanceId: "7", chatIds: [erased] }, { kind: "untouched" }],
    ["that names it alone", { instanceId, chatIds: [erased] }, { kind: "nothing" }],
    ["of no known shape", [{ deep: [erased] }], { kind: "nothing" }],
    ["that is a text", `for ${erased}`, { kind: "nothing" }],
    ["that is nothing", null, { kind: "untouched" }],
    [
      "that names it in its label",
      { instanceId, chatIds: [other], label: `for ${erased}`, maxAge: 7 },
      { kind: "reduced", data: { instanceId, chatIds: [other], maxAge: 7 } },
    ],
    [
      "that names a longer number",
      { instanceId, chatIds: [`1${erased}`, erased] },
      { kind: "reduced", data: { instanceId, chatIds: [`1${erased}`] } },
    ],
    [
      "with one ref for all",
      { instanceId, chatIds: [erased, other, spaced], externalRef: "a", priority: 0 },
      { kind: "reduced", data: { instanceId, chatIds: [other], externalRef: "a", priority: 0 } },
    ],
    [
      "with a ref for each",
      { chatIds: [erased, other, spaced, another], externalRef: ["a", "b", "c", null] },
      { kind: "reduced", data: { chatIds: [other, another], externalRef: ["b", null] } },
    ],
  ])("%s", (_, data, remainder) => {
    expect(forget(data)).toEqual(remainder);
  });

  test("is in nothing that is left of any request", () => {
    const chat = fc.constantFrom<unknown>(erased, other, another, spaced, `${digits}@nowhere`, 7, null);
    const request = fc.record(
      { instanceId: fc.constant(instanceId), chatIds: fc.array(chat), externalRef: fc.array(chat), x: chat },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(request, chat, fc.array(request)), (data) => {
        const rest = forget(data);
        if (rest.kind === "nothing") return;
        const left = JSON.stringify(rest.kind === "reduced" ? rest.data : data);
        expect(left ?? "").not.toContain(digits);
      }),
    );
  });
});
