import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BatchReport } from "../../src/domain/views/batch.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { acceptChunk, createBatch } from "../../src/store/accept/accept-chunk.ts";
import { estimateBatch } from "../../src/store/batches/batch-eta.ts";
import { cancelBatch } from "../../src/store/batches/cancel-batch.ts";
import { findBatchProgress } from "../../src/store/batches/find-batch-progress.ts";
import { findBatchSummary } from "../../src/store/batches/find-batch-summary.ts";
import { createFindBatch, type FindBatch } from "../../src/store/batches/find-batch.ts";
import { createBatchFinisher } from "../../src/store/batches/finish-batches.ts";
import { setPaused } from "../../src/store/instances/pause-instance.ts";
import { listBatchItems } from "../../src/store/batches/list-batch-items.ts";
import { listBatches } from "../../src/store/batches/list-batches.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { writeActivity } from "../../src/store/status/worker-activity.ts";
import {
  absent,
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  giveUp,
  paceSettings,
  present,
  readContacts,
  readDatabaseNow,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;
let find: FindBatch;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
  find = createFindBatch(database.pool, { defaultRate: 10, now: () => 0 });
});
afterAll(async () => database.close());

const many = (count: number, from = 1) => Array.from({ length: count }, (_, index) => toChatId(from + index));
const hour = 3_600_000;
const firstPage = { after: undefined, limit: 100 };

async function get(batchId: string): Promise<BatchReport> {
  const report = await find(batchId);
  if (!report) throw new Error("no such batch");
  const { accepted, pending, cancelled, erased, finished } = report;
  const answered = Object.values(finished).reduce((total, members) => total + members, 0);
  expect(pending + cancelled + erased + answered).toBe(accepted);
  return report;
}

/** Asks for contacts under a lease of its own, and gives each of them the same answer. */
async function answer(instanceId: InstanceId, limit: number, decision = present("/a.jpg")): Promise<void> {
  const asked = await ask(ledger, instanceId, { limit });
  const nowMs = await readDatabaseNow(database.pool);
  await ledger.saveLookups(
    asked.contacts.map(({ contactId }) => toRecord(contactId, asked.epoch, nowMs, decision)),
  );
  await giveBack(ledger, instanceId, asked);
}

/** A living worker that makes ten calls a second. */
async function work(...instanceIds: InstanceId[]): Promise<void> {
  const activity = { inFlight: 1, callsPerSecond: 8, recentCalls: 100, recentThrottled: 0, latencyMs: 100 };
  await writeActivity(
    database.pool,
    randomUUID(),
    instanceIds.map((instanceId) => ({ ...activity, instanceId })),
  );
}

/** A batch of so many contacts that were erased since: nobody waits for them. */
async function addErased(instanceId: InstanceId, members: number): Promise<string> {
  const { rows } = await database.pool.query<{ id: string }>(
    `with batch as (
       insert into avatars.batches (instance_id, source, fresh_after, completed_intake_at, accepted)
       values ($1, 'test', now(), now(), $2) returning id
     ), members as (
       insert into avatars.batch_members (batch_id, contact_id, position)
       select id, 1000000000 + n, n from batch, generate_series(1, $2) n
     )
     select id from batch`,
    [instanceId, members],
  );
  return rows[0]?.id ?? "";
}

describe("a batch", () => {
  test("is counted by what became of its contacts", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    await acceptContacts(database.pool, instanceId, many(2));
    await answer(instanceId, 2);
    const batchId = await acceptContacts(database.pool, instanceId, many(6), {
      maxAgeMs: hour,
      label: "six",
      priority: 2,
    });
    await answer(instanceId, 1, absent);
    await answer(instanceId, 1, giveUp);
    const report = await get(batchId);
    expect(report).toMatchObject({
      accepted: 6,
      pending: 2,
      fresh: 2,
      cancelled: 0,
      erased: 0,
      state: "working",
    });
    expect(report).toMatchObject({ instanceId, label: "six", priority: 2, source: "test", held: undefined });
    expect(report.finished).toMatchObject({ present: 2, absent: 1, unreachable: 1, unknown: 0 });
    expect(await findBatchProgress(database.pool, batchId)).toMatchObject({
      accepted: 6,
      pending: 2,
      fresh: 2,
      finished: report.finished,
    });
  });

  test("is done as soon as nobody waits, and stays so when others ask for its contacts again", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    const batchId = await acceptContacts(database.pool, instanceId, many(2));
    await answer(instanceId, 1);
    expect((await get(batchId)).state).toBe("working");
    await answer(instanceId, 1);
    const done = await get(batchId);
    expect(done).toMatchObject({ state: "done", pending: 0, etaMs: 0 });
    expect(await findBatchSummary(database.pool, batchId)).toMatchObject({
      state: "done",
      finishedAt: done.finishedAt,
    });
    await acceptContacts(database.pool, instanceId, many(2));
    expect(await get(batchId)).toMatchObject({ state: "done", pending: 0, finishedAt: done.finishedAt });
  });

  test("waits for nobody whose answer is fresh enough for it, though others want a newer one", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    await acceptContacts(database.pool, instanceId, many(1));
    await answer(instanceId, 1);
    const strict = await acceptContacts(database.pool, instanceId, many(1));
    const patient = await acceptContacts(database.pool, instanceId, many(1), { maxAgeMs: hour });
    expect(await get(patient)).toMatchObject({ state: "done", fresh: 1 });
    expect(await get(strict)).toMatchObject({ state: "working", pending: 1 });
  });

  test("whose input has not ended is incomplete, and never done", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    const batchId = await createBatch(database.pool, {
      instanceId,
      source: "test",
      label: undefined,
      priority: 1,
      maxAgeMs: 0,
    });
    await acceptChunk(database.pool, batchId, [{ chatId: toChatId(1), externalRef: undefined, position: 0 }]);
    await answer(instanceId, 1);
    await createBatchFinisher(database.pool)();
    expect(await get(batchId)).toMatchObject({ state: "incomplete", pending: 0, finishedAt: undefined });
  });

  test("counts the contacts that were erased since", async () => {
    const instanceId = await addInstance(database);
    const batchId = await acceptContacts(database.pool, instanceId, many(3));
    const [first, second] = await readContacts(database.pool, instanceId);
    await database.pool.query("delete from avatars.batch_members where contact_id = $1", [first?.id]);
    await database.pool.query("delete from avatars.contacts where id = any ($1)", [[first?.id, second?.id]]);
    expect(await get(batchId)).toMatchObject({ accepted: 3, pending: 1, erased: 2 });
    expect((await listBatchItems(database.pool, batchId, undefined, firstPage)).items).toHaveLength(1);
  });

  test("says why it does not go on", async () => {
    const [held, paused, throttled] = [
      await addInstance(database),
      await addInstance(database),
      await addInstance(database),
    ];
    const batches = [held, paused, throttled].map(async (id) => acceptContacts(database.pool, id, many(1)));
    const [ofHeld = "", ofPaused = "", ofThrottled = ""] = await Promise.all(batches);
    await work(held, paused, throttled);
    const nowMs = await readDatabaseNow(database.pool);
    const hold = { reason: "not-authorized", baseMs: 60_000, maxMs: 60_000, text: "logged out" } as const;
    await ledger.holdInstance(held, hold, nowMs);
    await setPaused(database, paused, true);
    await ledger.throttle(
      throttled,
      { by: "provider", retryAfterMs: 60_000, before: { taken: 0, refused: 0, isAnswering: false } },
      nowMs,
    );
    const reasons = { reason: undefined, since: undefined, until: undefined };
    const heldReport = await get(ofHeld);
    expect(heldReport.held).toMatchObject({ instanceId: held, state: "held", reason: "not-authorized" });
    expect(heldReport.held?.until).toBeInstanceOf(Date);
    expect(heldReport.etaMs).toBeUndefined();
    expect((await get(ofPaused)).held).toEqual({ ...reasons, instanceId: paused, state: "paused" });
    const { held: throttle, etaMs = 0 } = await get(ofThrottled);
    expect(throttle).toMatchObject({ instanceId: throttled, state: "throttled" });
    expect(throttle?.until).toBeInstanceOf(Date);
    expect(etaMs).toBeGreaterThan(50_000);
  });

  test("that does not exist is not found", async () => {
    for (const batchId of [randomUUID(), "no uuid"]) {
      expect(await find(batchId)).toBeUndefined();
      expect(await findBatchSummary(database.pool, batchId)).toBeUndefined();
      expect(await findBatchProgress(database.pool, batchId)).toBeUndefined();
      expect(await listBatchItems(database.pool, batchId, undefined, firstPage)).toEqual({
        items: [],
        next: undefined,
      });
    }
  });

  test("that takes long to count is not counted again at once, but a cancellation is seen at once", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    const batchId = await acceptContacts(database.pool, instanceId, many(3));
    let nowMs = 0;
    // Each look at the clock takes a second: so does the count.
    const findSlowly = createFindBatch(database.pool, { defaultRate: 10, now: () => (nowMs += 1_000) });
    expect(await findSlowly(batchId)).toMatchObject({ pending: 3 });
    await answer(instanceId, 1);
    expect(await findSlowly(batchId)).toMatchObject({ pending: 3 });
    await cancelBatch(database.pool, batchId);
    expect(await findSlowly(batchId)).toMatchObject({ state: "cancelled", pending: 0, cancelled: 2 });
  });
});

describe("the estimate for a batch", () => {
  test("counts whoever is called before its last contact", async () => {
    const instanceId = await addInstance(database);
    await work(instanceId);
    const eta = async (batchId: string) => estimateBatch(database.pool, batchId, 10);
    const large = await acceptContacts(database.pool, instanceId, many(3_000));
    const small = await acceptContacts(database.pool, instanceId, many(100, 10_000));
    const urgent = await acceptContacts(database.pool, instanceId, many(10, 20_000), { priority: 0 });
    const patient = await acceptContacts(database.pool, instanceId, many(10, 30_000), { priority: 2 });
    // At 8 calls a second: 125 ms each.
    expect(await eta(urgent)).toBe(10 * 125);
    expect(await eta(small)).toBe((10 + 200) * 125);
    expect(await eta(large)).toBe((10 + 3_100) * 125);
    expect(await eta(patient)).toBe((10 + 3_100 + 10) * 125);
  });

  test("is near the truth where there are too many to be counted", async () => {
    const instanceId = await addInstance(database);
    await work(instanceId);
    const { rows } = await database.pool.query<{ id: string }>(
      `select avatars.enqueue($1, array(select (79000000000 + n) || '@c.us' from generate_series(1, 20000) n)) as id`,
      [instanceId],
    );
    for (const from of [30_000, 40_000, 50_000])
      await acceptContacts(database.pool, instanceId, many(400, from));
    const etaMs = (await estimateBatch(database.pool, rows[0]?.id ?? "", 10)) ?? 0;
    expect(Math.abs(etaMs / (21_200 * 125) - 1)).toBeLessThan(0.02);
  });

  test("is nothing where nobody waits, and none where nobody works", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    await acceptContacts(database.pool, instanceId, many(1));
    await answer(instanceId, 1);
    const waiting = await acceptContacts(database.pool, instanceId, many(5, 100));
    const fresh = await acceptContacts(database.pool, instanceId, many(1), { maxAgeMs: hour });
    expect(await estimateBatch(database.pool, fresh, 10)).toBe(0);
    expect(await estimateBatch(database.pool, waiting, 10)).toBeUndefined();
  });

  test("is part of a transaction, and leaves its settings as they are", async () => {
    const instanceId = await addInstance(database);
    await work(instanceId);
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      const { rows } = await client.query<{ id: string }>(
        `insert into avatars.batches (instance_id, source, fresh_after) values ($1, 'test', now()) returning id`,
        [instanceId],
      );
      const batchId = rows[0]?.id ?? "";
      await client.query("select avatars.accept($1, $2, array[null, null], array[0, 1])", [batchId, many(2)]);
      expect(await estimateBatch(client, batchId, 10)).toBe(250);
      expect((await client.query<{ enable_sort: string }>("show enable_sort")).rows[0]?.enable_sort).toBe(
        "on",
      );
      await client.query("commit");
    } finally {
      client.release();
    }
  });
});

describe("the step that finishes batches", () => {
  test("finishes those that nobody waits for, by several processes at once, and no others", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    const done: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      done.push(await acceptContacts(database.pool, instanceId, many(4, index * 3)));
    }
    await answer(instanceId, 100);
    const empty = await acceptContacts(database.pool, instanceId, []);
    const waiting = await acceptContacts(database.pool, instanceId, many(3));
    await answer(instanceId, 2);
    const finishers = [1, 2, 3].map(() => createBatchFinisher(database.pool));
    const finished = (await Promise.all(finishers.map(async (finish) => finish()))).flat();
    const ours = finished.filter((id) => [...done, empty, waiting].includes(id));
    expect(new Set(ours)).toEqual(new Set([...done, empty]));
    expect(ours).toHaveLength(6);
    expect(await findBatchSummary(database.pool, waiting)).toMatchObject({ state: "working" });
    // It has come as far as to the one that waits, and goes on from there.
    await answer(instanceId, 1);
    expect(await createBatchFinisher(database.pool)()).toContain(waiting);
  });

  test("finishes a large one in the same call as a small one, however many others wait", async () => {
    const instanceId = await addInstance(database);
    const waiting = await acceptContacts(database.pool, instanceId, many(1));
    // More than one page of them, before and after it.
    const addWaiting = async () =>
      database.pool.query(
        `with more as (
           insert into avatars.batches (instance_id, source, fresh_after, completed_intake_at, accepted)
           select $1, 'test', now(), now(), 1 from generate_series(1, 700) returning id
         )
         insert into avatars.batch_members (batch_id, contact_id, position)
         select more.id, m.contact_id, 0 from more, avatars.batch_members m where m.batch_id = $2`,
        [instanceId, waiting],
      );
    await addWaiting();
    const large = await addErased(instanceId, 45_000);
    await addWaiting();
    const small = await addErased(instanceId, 1);
    const finished = await createBatchFinisher(database.pool, { now: () => 0 })();
    expect(finished).toEqual(expect.arrayContaining([large, small]));
    const { rows } = await database.pool.query<{ open: number }>(
      "select count(*)::int as open from avatars.batches where instance_id = $1 and finished_at is null",
      [instanceId],
    );
    expect(rows[0]?.open).toBe(1_401);
  });

  test("goes on in the next call where its time has ended", async () => {
    const instanceId = await addInstance(database);
    const large = await addErased(instanceId, 45_000);
    let nowMs = 0;
    const finish = createBatchFinisher(database.pool, { now: () => (nowMs += 60_000) });
    const finished: string[] = [];
    let calls = 0;
    for (; !finished.includes(large) && calls < 20; calls += 1) finished.push(...(await finish()));
    expect(finished).toContain(large);
    expect(calls).toBeGreaterThan(2);
  });
});

describe("the list of batches", () => {
  const all = { instanceIds: undefined, states: undefined, withRefreshes: false };

  test("has the newest first, page by page, none twice and none left out", async () => {
    const instances = [await addInstance(database), await addInstance(database)];
    const { rows } = await database.pool.query<{ id: string }>(
      `insert into avatars.batches (instance_id, source, fresh_after, requested_at)
       select ($1::text[])[1 + n % 2], 'test', now(), now() - n / 4 * interval '1 us' from generate_series(1, 25) n returning id`,
      [instances],
    );
    const filter = { ...all, instanceIds: instances };
    const listed = [];
    let after: string | undefined;
    do {
      const page = await listBatches(database.pool, filter, { after, limit: 4 });
      expect(page.items.length).toBeLessThanOrEqual(4);
      listed.push(...page.items);
      after = page.next;
    } while (after !== undefined);
    expect(listed).toHaveLength(25);
    expect(new Set(listed.map(({ batchId }) => batchId))).toEqual(new Set(rows.map(({ id }) => id)));
    const moments = listed.map(({ requestedAt }) => requestedAt.getTime());
    expect(moments).toEqual(moments.toSorted((a, b) => b - a));
    const one = await listBatches(database.pool, { ...all, instanceIds: [instances[0]!] }, firstPage);
    expect(one.items.map(({ instanceId }) => instanceId)).toEqual(Array(12).fill(instances[0]));
    expect((await listBatches(database.pool, all, firstPage)).items.length).toBeGreaterThanOrEqual(25);
  });

  test("has those of a state, and refreshes only where they are asked for", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    const accept = async (chat: number, batch = {}) =>
      acceptContacts(database.pool, instanceId, many(1, chat), batch);
    const done = await accept(1);
    await answer(instanceId, 1);
    await find(done);
    const refresh = await accept(2, { source: "refresh" });
    const cancelled = await accept(3);
    await cancelBatch(database.pool, cancelled);
    const working = await accept(4);
    const incomplete = await createBatch(database.pool, {
      instanceId,
      source: "test",
      label: undefined,
      priority: 1,
      maxAgeMs: 0,
    });
    const list = async (
      filter: Partial<typeof all> | { readonly states: readonly BatchReport["state"][] },
    ) => {
      const page = await listBatches(
        database.pool,
        { ...all, instanceIds: [instanceId], ...filter },
        firstPage,
      );
      return page.items.map(({ batchId }) => batchId);
    };
    expect(await list({})).toEqual([incomplete, working, cancelled, done]);
    expect(await list({ withRefreshes: true })).toEqual([incomplete, working, cancelled, refresh, done]);
    expect(await list({ states: ["done"] })).toEqual([done]);
    expect(await list({ states: ["working"] })).toEqual([working]);
    expect(await list({ states: ["cancelled", "incomplete"] })).toEqual([incomplete, cancelled]);
    expect(await list({ states: ["done", "working"] })).toEqual([working, done]);
    expect(await list({ states: [] })).toEqual([]);
  });

  test("refuses a cursor that is none of its own", async () => {
    for (const after of [
      "",
      "1",
      "1_2",
      `9999999999999999999_${randomUUID()}`,
      "'; drop table avatars.batches",
    ]) {
      const page = { after, limit: 10 };
      await expect(listBatches(database.pool, all, page)).rejects.toMatchObject({ code: "invalid-cursor" });
      if (after === "1") continue;
      const items = listBatchItems(database.pool, randomUUID(), undefined, page);
      await expect(items).rejects.toMatchObject({ code: "invalid-cursor" });
    }
  });
});

describe("the contacts of a batch", () => {
  test("are told with what became of each, page by page", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 1000 });
    const batchId = await acceptContacts(database.pool, instanceId, many(7));
    await answer(instanceId, 2, present("/a.jpg"));
    await answer(instanceId, 1, giveUp);
    const pages = [];
    for (let after: string | undefined; ;) {
      const page = await listBatchItems(database.pool, batchId, undefined, { after, limit: 3 });
      pages.push(page.items);
      if (page.next === undefined) break;
      after = page.next;
    }
    expect(pages.map((items) => items.length)).toEqual([3, 3, 1]);
    const items = pages.flat();
    expect(items.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(items[0]).toMatchObject({
      chatId: toChatId(1),
      status: "present",
      avatarUrl: "https://pps.whatsapp.net/a.jpg?oe=1",
      attempts: 1,
    });
    expect(items[0]?.checkedAt).toBeInstanceOf(Date);
    expect(items[2]).toMatchObject({
      status: "unreachable",
      lastError: giveUp.kind === "give-up" && giveUp.error,
    });
    const statuses = async (...asked: ("pending" | "present" | "cancelled")[]) => {
      const page = await listBatchItems(database.pool, batchId, asked, firstPage);
      return page.items.map(({ position }) => position);
    };
    expect(await statuses("pending")).toEqual([3, 4, 5, 6]);
    expect(await statuses("present", "pending")).toEqual([0, 1, 3, 4, 5, 6]);
    await cancelBatch(database.pool, batchId);
    expect(await statuses("pending")).toEqual([]);
    expect(await statuses("cancelled")).toEqual([3, 4, 5, 6]);
  });
});
