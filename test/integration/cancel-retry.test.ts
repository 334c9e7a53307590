import fc from "fast-check";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BatchItem } from "../../src/domain/views/batch.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import type { QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { acceptChunk, createBatch } from "../../src/store/accept/accept-chunk.ts";
import { cancelBatch } from "../../src/store/batches/cancel-batch.ts";
import { isTransient } from "../../src/store/postgres/database.ts";
import { createFindBatch, type FindBatch } from "../../src/store/batches/find-batch.ts";
import { createBatchFinisher } from "../../src/store/batches/finish-batches.ts";
import { listBatchItems } from "../../src/store/batches/list-batch-items.ts";
import { retryBatch } from "../../src/store/batches/retry-batch.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { applyLookupsAside } from "../../src/store/saves/apply-lookups-aside.ts";
import {
  absent,
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  giveUp,
  paceSettings,
  present,
  readContact,
  readAllDue,
  readContacts,
  readDatabaseNow,
  release,
  retry,
  toChatId,
  toRecord,
  type ContactState,
} from "../support/ledger.ts";
import { eventually } from "../support/eventually.ts";
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
const atRest = { wanted_at: null, due_at: null, turn: null, in_flight_epoch: null, in_flight_until: null };
const hour = 3_600_000;

const addFast = async () => addInstance(database, { requestsPerSecond: 1000 });
const accept = async (...[instanceId, chatIds, batch]: [InstanceId, ReturnType<typeof many>, object?]) =>
  acceptContacts(database.pool, instanceId, chatIds, batch);
const cancel = async (batchId: string) => cancelBatch(database.pool, batchId);
const again = async (batchId: string) => retryBatch(database.pool, batchId);

const chunk = (from: number) =>
  many(3, from).map((chatId, index) => ({ chatId, externalRef: undefined, position: from + index }));

/** What becomes of the lease while calls are in flight: nothing, or it is handed over, which marks their contacts. */
const leaseEnds = ["goes on", "was handed over"] as const;
type LeaseEnd = (typeof leaseEnds)[number];

/** Calls in flight for the contacts that are due, under a lease that goes on or is handed over. */
async function askAll(instanceId: InstanceId, { limit = 1_000, lease }: { limit?: number; lease: LeaseEnd }) {
  const asked = await ask(ledger, instanceId, { limit });
  const { contacts, epoch } = asked;
  const nowMs = await readDatabaseNow(database.pool);
  const end = async (inFlight: readonly number[]) => giveBack(ledger, instanceId, asked, inFlight);
  if (lease === "was handed over") await end(contacts.map(({ contactId }) => contactId));
  const save = async (decision: ContactDecision, askedAtMs = nowMs) =>
    ledger.saveLookups(
      contacts.map((contact) => ({ ...toRecord(contact.contactId, epoch, askedAtMs, decision), contact })),
    );
  return { epoch, save, end };
}

async function answer(instanceId: InstanceId, decision: ContactDecision, limit = 1_000): Promise<void> {
  const { save, end } = await askAll(instanceId, { limit, lease: "goes on" });
  await save(decision);
  await end([]);
}

describe("a batch that is cancelled", () => {
  test("waits for nobody any more, and keeps its answers", async () => {
    const instanceId = await addFast();
    const batchId = await accept(instanceId, many(5));
    await answer(instanceId, present("/a.jpg"), 1);
    await answer(instanceId, giveUp, 1);
    expect(await cancel(batchId)).toBe(3);
    const report = await find(batchId);
    expect(report).toMatchObject({ state: "cancelled", pending: 0, cancelled: 3, etaMs: 0 });
    expect(report?.finished).toMatchObject({ present: 1, unreachable: 1, unknown: 0 });
    expect(report?.cancelledAt).toBeInstanceOf(Date);
    expect(report?.finishedAt).toBeInstanceOf(Date);
    for (const contact of await readContacts(database.pool, instanceId))
      expect(contact).toMatchObject(atRest);
    expect(await cancel(batchId)).toBe(0);
  });

  test.each(leaseEnds)(
    "does not get a contact back by a call in flight whose lease %s, but its answer",
    async (lease) => {
      for (const decision of [retry, giveUp, release]) {
        const instanceId = await addFast();
        const batchId = await accept(instanceId, many(1));
        const { save } = await askAll(instanceId, { lease });
        expect(await cancel(batchId)).toBe(1);
        await save(decision);
        expect(await readContact(database.pool, instanceId)).toMatchObject({ ...atRest, status: "unknown" });
        // Also one that was asked for before the batch was: nobody is there to want a newer one.
        const nowMs = await readDatabaseNow(database.pool);
        await save(present("/late.jpg"), nowMs - hour);
        expect(await readContact(database.pool, instanceId)).toMatchObject({
          ...atRest,
          status: "present",
          version: "/late.jpg",
        });
      }
    },
  );

  test("leaves to other batches what they wait for, as if only they had asked", async () => {
    const instanceId = await addFast();
    const patient = await accept(instanceId, many(3), { priority: 2, maxAgeMs: hour });
    const [before] = await readContacts(database.pool, instanceId);
    const urgent = await accept(instanceId, many(2), { priority: 0 });
    const { epoch } = await askAll(instanceId, { limit: 1, lease: "was handed over" });
    expect(await cancel(urgent)).toBe(0);
    const [first, second] = await readContacts(database.pool, instanceId);
    const { wanted_at, fresh_after } = before ?? {};
    expect(first).toMatchObject({ priority: 2, wanted_at, fresh_after, in_flight_epoch: String(epoch) });
    expect(second).toMatchObject({ priority: 2, wanted_at, fresh_after, in_flight_epoch: null });
    expect(second?.is_due).toBe(true);
    // It does not overtake the others of its new priority.
    const { rows } = await database.pool.query<{ turn: number }>(
      "select turn::int from avatars.contacts where instance_id = $1 order by id",
      [instanceId],
    );
    expect(rows[1]?.turn).toBe(rows[2]?.turn);
    expect(await find(urgent)).toMatchObject({ pending: 0, cancelled: 2 });
    expect(await find(patient)).toMatchObject({ pending: 3 });
    expect(await cancel(patient)).toBe(3);
    for (const contact of await readContacts(database.pool, instanceId))
      expect(contact).toMatchObject(atRest);
  });

  test("gives up what others have an answer for that is fresh enough for them", async () => {
    const instanceId = await addFast();
    await accept(instanceId, many(1));
    await answer(instanceId, present("/a.jpg"));
    const strict = await accept(instanceId, many(1));
    await accept(instanceId, [...many(1), toChatId(2)], { maxAgeMs: hour });
    expect(await cancel(strict)).toBe(1);
    const [first, second] = await readContacts(database.pool, instanceId);
    expect(first).toMatchObject(atRest);
    expect(second?.wanted_at).not.toBeNull();
  });

  test("tells an unreachable contact from one that was so before", async () => {
    const instanceId = await addFast();
    await accept(instanceId, many(3));
    await answer(instanceId, giveUp);
    const batchId = await accept(instanceId, many(3));
    await answer(instanceId, giveUp, 1);
    await answer(instanceId, retry, 1);
    await cancel(batchId);
    const report = await find(batchId);
    expect(report).toMatchObject({ cancelled: 2 });
    expect(report?.finished).toMatchObject({ unreachable: 1 });
  });

  test("leaves to others the newest of the answers that they want", async () => {
    const instanceId = await addFast();
    const cancelled = await accept(instanceId, many(1), { maxAgeMs: 2 * hour });
    const strict = await accept(instanceId, many(1));
    await accept(instanceId, many(1), { maxAgeMs: hour });
    expect(await cancel(cancelled)).toBe(0);
    const { fresh_after, wanted_at } = await readContact(database.pool, instanceId);
    const { requestedAt, freshAfter } = (await find(strict)) ?? {};
    expect([wanted_at, fresh_after]).toEqual([requestedAt, freshAfter]);
  });

  test("leaves to a large batch the few of its contacts that it still waits for", async () => {
    const instanceId = await addFast();
    const large = await accept(instanceId, many(300), { priority: 2 });
    await answer(instanceId, giveUp, 1);
    // It has seen the first to be at rest, and is done with it.
    await createBatchFinisher(database.pool)();
    const few = await accept(instanceId, [1, 2, 150, 300, 301].map(toChatId), { priority: 0 });
    expect(await cancel(few)).toBe(2);
    const left = await readContacts(database.pool, instanceId);
    const waiting = left.filter(({ wanted_at }) => wanted_at !== null);
    expect(waiting).toHaveLength(299);
    for (const contact of waiting) expect(contact).toMatchObject({ priority: 2, is_due: true });
    expect([left[0], left[300]]).toMatchObject([atRest, atRest]);
    expect(await find(large)).toMatchObject({ pending: 299 });
    expect(await cancel(large)).toBe(299);
  });

  test("leaves a contact to whoever asks for it at the same moment", async () => {
    const instanceId = await addFast();
    const batchId = await accept(instanceId, many(1));
    const client = await database.pool.connect();
    try {
      await client.query("begin");
      await client.query("select avatars.enqueue($1, $2)", [instanceId, many(1)]);
      const cancelled = cancel(batchId);
      await eventually(async () => {
        const { rows } = await database.pool.query(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        expect(rows).toHaveLength(1);
      });
      await client.query("commit");
      expect(await cancelled).toBe(0);
    } finally {
      client.release();
    }
    expect(await find(batchId)).toMatchObject({ state: "cancelled", cancelled: 1 });
    expect(await readContact(database.pool, instanceId)).toMatchObject({ is_due: true });
    expect((await readContact(database.pool, instanceId)).wanted_at).not.toBeNull();
  });

  test("stays done where it was done, though nobody had looked", async () => {
    const instanceId = await addFast();
    const batchId = await accept(instanceId, many(2));
    await answer(instanceId, absent);
    expect(await cancel(batchId)).toBe(0);
    expect(await find(batchId)).toMatchObject({ state: "done", cancelledAt: undefined });
    expect(await cancel("no uuid")).toBe(0);
    expect(await cancel(randomUUID())).toBe(0);
  });

  test("takes no contacts any more, and goes on after an interruption", async () => {
    const instanceId = await addFast();
    const batchId = await createBatch(database.pool, {
      instanceId,
      source: "test",
      label: undefined,
      priority: 1,
      maxAgeMs: 0,
    });
    await acceptChunk(database.pool, batchId, chunk(1));
    // A process that was killed right after its first statement, a minute ago.
    await database.pool.query(
      "update avatars.batches set cancelled_at = clock_timestamp() - interval '1 minute' where id = $1",
      [batchId],
    );
    expect(await find(batchId)).toMatchObject({
      state: "cancelled",
      pending: 0,
      cancelled: 3,
      finishedAt: undefined,
    });
    await expect(acceptChunk(database.pool, batchId, chunk(10))).rejects.toMatchObject({
      code: "batch-cancelled",
    });
    await createBatchFinisher(database.pool)();
    const report = await find(batchId);
    expect(report).toMatchObject({ state: "cancelled", cancelled: 3, accepted: 3 });
    expect(report?.finishedAt).toBeInstanceOf(Date);
    for (const contact of await readContacts(database.pool, instanceId))
      expect(contact).toMatchObject(atRest);
  });

  test("gives up more contacts than one transaction takes", async () => {
    const instanceId = await addFast();
    const { rows } = await database.pool.query<{ id: string }>(
      `select avatars.enqueue($1, array(select (79000000000 + n) || '@c.us' from generate_series(1, 10050) n)) as id`,
      [instanceId],
    );
    const batchId = rows[0]?.id ?? "";
    expect(await cancel(batchId)).toBe(10_050);
    expect(await find(batchId)).toMatchObject({ cancelled: 10_050 });
    expect(await again(batchId)).toBe(10_050);
    expect(await find(batchId)).toMatchObject({ state: "working", pending: 10_050 });
    const turns = await database.pool.query<{ turns: number }>(
      "select count(distinct turn)::int as turns from avatars.contacts where instance_id = $1",
      [instanceId],
    );
    expect(turns.rows[0]?.turns).toBe(10_050);
  });
});

describe("a batch that is retried", () => {
  test("asks again for all without a clear answer, in the same batch, at once", async () => {
    const instanceId = await addFast();
    const batchId = await accept(instanceId, many(4));
    await answer(instanceId, present("/a.jpg"), 1);
    await answer(instanceId, giveUp, 2);
    await answer(instanceId, absent, 1);
    const done = await find(batchId);
    expect(done).toMatchObject({ state: "done" });
    expect(await again(batchId)).toBe(2);
    expect(await find(batchId)).toMatchObject({ state: "working", pending: 2, finishedAt: undefined });
    const asked = (await readContacts(database.pool, instanceId)).filter(
      ({ wanted_at }) => wanted_at !== null,
    );
    expect(asked).toHaveLength(2);
    for (const contact of asked) expect(contact).toMatchObject({ attempts: 0, is_due: true });
    expect(await again(batchId)).toBe(0);
    await answer(instanceId, present("/b.jpg"));
    expect(await find(batchId)).toMatchObject({ state: "done", pending: 0 });
    expect(await again(batchId)).toBe(0);
    expect(await find(batchId)).toMatchObject({ state: "done" });
  });

  test("goes on after a cancellation", async () => {
    const instanceId = await addFast();
    const batchId = await accept(instanceId, many(3));
    await answer(instanceId, present("/a.jpg"), 1);
    await cancel(batchId);
    expect(await again(batchId)).toBe(2);
    expect(await find(batchId)).toMatchObject({
      state: "working",
      pending: 2,
      cancelled: 0,
      cancelledAt: undefined,
    });
    await answer(instanceId, present("/b.jpg"));
    expect(await find(batchId)).toMatchObject({ state: "done" });
  });

  test("after a cancellation raises all of its contacts that a less urgent batch waits for, in as many steps as it takes", async () => {
    const instanceId = await addFast();
    const addLarge = async (priority: number) => {
      const { rows } = await database.pool.query<{ id: string }>(
        `select avatars.enqueue($1, array(select (79000000000 + n) || '@c.us' from generate_series(1, 10050) n), $2) as id`,
        [instanceId, priority],
      );
      return rows[0]?.id ?? "";
    };
    const priorities = async () => {
      const { rows } = await database.pool.query<{ priority: number; contacts: number }>(
        `select priority, count(*)::int as contacts from avatars.contacts where instance_id = $1 and turn is not null group by 1`,
        [instanceId],
      );
      return rows;
    };
    await addLarge(2);
    const urgent = await addLarge(1);
    await cancel(urgent);
    expect(await priorities()).toEqual([{ priority: 2, contacts: 10_050 }]);
    expect(await again(urgent)).toBe(10_050);
    expect(await priorities()).toEqual([{ priority: 1, contacts: 10_050 }]);
  });

  test("while it is incomplete asks for those that it has", async () => {
    const instanceId = await addFast();
    const batchId = await createBatch(database.pool, {
      instanceId,
      source: "test",
      label: undefined,
      priority: 1,
      maxAgeMs: 0,
    });
    await acceptChunk(database.pool, batchId, [{ chatId: toChatId(1), externalRef: undefined, position: 0 }]);
    await answer(instanceId, giveUp);
    expect(await again(batchId)).toBe(1);
    expect(await find(batchId)).toMatchObject({ state: "incomplete", pending: 1 });
  });

  test.each(leaseEnds)(
    "is not ended by what a call in flight for another batch fails with, whose lease %s",
    async (lease) => {
      for (const failure of [giveUp, retry]) {
        const instanceId = await addFast();
        const first = await accept(instanceId, many(1));
        await answer(instanceId, giveUp);
        await find(first);
        await accept(instanceId, many(1));
        await answer(instanceId, soon);
        const { save } = await askAll(instanceId, { lease });
        expect(await again(first)).toBe(1);
        await save(failure);
        expect(await readContact(database.pool, instanceId)).toMatchObject({ attempts: 0, is_due: true });
        await save(present("/a.jpg"));
        expect(await find(first)).toMatchObject({ state: "done" });
      }
    },
  );

  test("wants an answer as new as before, though others would take an older one", async () => {
    const instanceId = await addFast();
    const strict = await accept(instanceId, many(1));
    await answer(instanceId, giveUp);
    const { freshAfter } = (await find(strict)) ?? {};
    await accept(instanceId, many(1), { maxAgeMs: hour });
    // What was asked for before all of this does for the other one only.
    await database.pool.query(
      "update avatars.contacts set fresh_after = fresh_after - interval '1 hour' where instance_id = $1",
      [instanceId],
    );
    expect(await again(strict)).toBe(1);
    expect(await readContact(database.pool, instanceId)).toMatchObject({ fresh_after: freshAfter });
  });

  test("does not have others wait again for what they were seen to be done with", async () => {
    const instanceId = await addFast();
    const first = await accept(instanceId, many(1));
    const other = await accept(instanceId, many(2));
    await answer(instanceId, giveUp, 1);
    await createBatchFinisher(database.pool)();
    expect(await again(first)).toBe(1);
    expect(await find(first)).toMatchObject({ pending: 1 });
    const report = await find(other);
    expect(report).toMatchObject({ pending: 1 });
    expect(report?.finished).toMatchObject({ unreachable: 1 });
  });

  test("leaves a contact the more urgent place that it has", async () => {
    const instanceId = await addFast();
    const patient = await accept(instanceId, many(2), { priority: 2 });
    await answer(instanceId, giveUp);
    await find(patient);
    await accept(instanceId, many(1), { priority: 0 });
    expect(await again(patient)).toBe(2);
    const [first, second] = await readContacts(database.pool, instanceId);
    expect([first?.priority, second?.priority]).toEqual([0, 2]);
  });
});

type Command =
  | {
      readonly kind: "accept";
      readonly chats: readonly number[];
      readonly priority: number;
      readonly maxAgeMs: number;
    }
  | { readonly kind: "ask"; readonly limit: number; readonly lease: LeaseEnd }
  | { readonly kind: "save"; readonly calls: number; readonly decision: ContactDecision }
  | { readonly kind: "cancel" | "retry" | "find"; readonly batch: number }
  | { readonly kind: "finish" };

const soon: ContactDecision = { kind: "retry", dueInMs: 0, error: "no answer" };
const chats = 5;
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("accept" as const),
      chats: fc.subarray(
        Array.from({ length: chats }, (_, index) => index + 1),
        { minLength: 1 },
      ),
      priority: fc.constantFrom(0, 1, 2),
      maxAgeMs: fc.constantFrom(0, hour),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("ask" as const),
      limit: fc.integer({ min: 1, max: 3 }),
      lease: fc.constantFrom(...leaseEnds),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("save" as const),
      calls: fc.nat(3),
      decision: fc.constantFrom(present("/a.jpg"), absent, soon, giveUp, release),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("cancel" as const, "retry" as const, "find" as const),
      batch: fc.nat(4),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "finish" as const }) },
);

async function checkCounts(batchId: string, items: readonly BatchItem[]): Promise<void> {
  const report = await find(batchId);
  if (!report) throw new Error("no such batch");
  const count = (status: BatchItem["status"]) => items.filter((item) => item.status === status).length;
  expect(report).toMatchObject({ accepted: items.length, erased: 0 });
  expect(report).toMatchObject({ pending: count("pending"), cancelled: count("cancelled") });
  for (const [status, members] of Object.entries(report.finished)) {
    expect(members).toBe(count(status as BatchItem["status"]));
  }
  const isOver = report.state === "done" || report.state === "cancelled";
  expect(isOver).toBe(report.pending === 0 || report.cancelledAt !== undefined);
}

/** What is said to several batches about contacts that they share, and what must come of it. */
async function createPlay() {
  const instanceId = await addFast();
  const finish = createBatchFinisher(database.pool);
  const batchIds: string[] = [];
  const calls: {
    readonly epoch: number;
    readonly askedAtMs: number;
    readonly contacts: readonly QueuedContact[];
  }[] = [];
  const owner = randomUUID();
  /** Batch and contact: whoever surely waits. */
  let needs = new Map<string, Set<string>>();

  const readAll = async () => {
    const contacts = await readContacts(database.pool, instanceId);
    const byChat = new Map(contacts.map((contact) => [contact.chat_id, contact]));
    const items = new Map<string, readonly BatchItem[]>();
    for (const batchId of batchIds) {
      const page = await listBatchItems(database.pool, batchId, undefined, { after: undefined, limit: 100 });
      items.set(batchId, page.items);
    }
    return { byChat, items };
  };

  async function save({ calls: index, decision }: Extract<Command, { kind: "save" }>) {
    const made = calls[index % Math.max(1, calls.length)];
    if (!made) return;
    const { epoch, askedAtMs, contacts } = made;
    const { byChat } = await readAll();
    await ledger.saveLookups(
      contacts.map((contact) => ({ ...toRecord(contact.contactId, epoch, askedAtMs, decision), contact })),
    );
    if (decision.kind !== "give-up") return;
    const { rows } = await database.pool.query<{ epoch: number }>(
      "select lease_epoch::int as epoch from avatars.instances where id = $1",
      [instanceId],
    );
    for (const { chatId, attempts } of contacts) {
      const contact = byChat.get(chatId);
      const isOurs = contact?.in_flight_epoch === String(epoch) || rows[0]?.epoch === epoch;
      // Asked for as it is still: a retry or a cancellation meanwhile has begun anew.
      if (isOurs && contact?.attempts === attempts)
        for (const chatIds of needs.values()) chatIds.delete(chatId);
    }
  }

  async function askSome({ limit, lease }: Pick<Extract<Command, { kind: "ask" }>, "limit" | "lease">) {
    const taken = await ledger.takeLease(instanceId, owner);
    if (taken.kind !== "taken") throw new Error(taken.kind);
    const contacts = await readAllDue(ledger, instanceId, limit);
    const { epoch } = taken;
    calls.unshift({ epoch, contacts, askedAtMs: await readDatabaseNow(database.pool) });
    const ids = contacts.map(({ contactId }) => contactId);
    if (lease === "was handed over") await giveBack(ledger, instanceId, { owner, epoch }, ids);
  }

  async function run(step: Command): Promise<void> {
    const batchId = "batch" in step ? batchIds[step.batch % Math.max(1, batchIds.length)] : undefined;
    switch (step.kind) {
      case "accept": {
        const chatIds = step.chats.map(toChatId);
        const accepted = await accept(instanceId, chatIds, step);
        batchIds.push(accepted);
        needs.set(accepted, new Set(chatIds));
        return;
      }
      case "ask":
        return askSome(step);
      case "save":
        return save(step);
      case "cancel": {
        if (!batchId) return;
        await cancel(batchId);
        needs.delete(batchId);
        return;
      }
      case "retry": {
        if (!batchId) return;
        const { items } = await readAll();
        await again(batchId);
        needs.set(batchId, new Set(items.get(batchId)?.map(({ chatId }) => chatId)));
        return;
      }
      case "find":
        if (batchId) await find(batchId);
        return;
      case "finish":
        await finish();
        return;
    }
  }

  /** An answer that is fresh enough ends a need, whoever has asked for it. */
  async function settleNeeds(byChat: ReadonlyMap<string, ContactState>): Promise<void> {
    const left = new Map<string, Set<string>>();
    for (const [batchId, chatIds] of needs) {
      const { freshAfter = new Date() } = (await find(batchId)) ?? {};
      const isAnswered = (chatId: string) => {
        const { checked_at = null, status = "unknown" } = byChat.get(chatId) ?? {};
        const isClear = status !== "unknown" && status !== "unreachable";
        return isClear && checked_at !== null && checked_at >= freshAfter;
      };
      left.set(batchId, new Set([...chatIds].filter((chatId) => !isAnswered(chatId))));
    }
    needs = left;
  }

  async function check(): Promise<void> {
    const { byChat, items } = await readAll();
    await settleNeeds(byChat);
    const statusOf = (batchId: string, chatId: string) =>
      items.get(batchId)?.find((item) => item.chatId === chatId)?.status;
    for (const [batchId, chatIds] of needs) {
      for (const chatId of chatIds) {
        expect(statusOf(batchId, chatId)).toBe("pending");
        const { wanted_at, due_at } = byChat.get(chatId) ?? {};
        expect([wanted_at, due_at]).not.toContain(null);
      }
    }
    for (const { chat_id, wanted_at, priority, in_flight_epoch: mark } of byChat.values()) {
      const waiting = batchIds.filter((batchId) => statusOf(batchId, chat_id) === "pending");
      if (wanted_at === null) expect([waiting, mark]).toEqual([[], null]);
      else expect(waiting.length).toBeGreaterThan(0);
      expect([0, 1, 2]).toContain(priority);
    }
    for (const batchId of batchIds) await checkCounts(batchId, items.get(batchId) ?? []);
  }

  /** Whoever waits gets an answer in the end, and nobody is waited for after that. */
  async function workOff(): Promise<void> {
    // What a save has met locked.
    await applyLookupsAside(database.pool, false, isTransient);
    await database.pool.query(
      `update avatars.contacts set in_flight_epoch = null, in_flight_until = null, due_at = least(due_at, now())
       where instance_id = $1`,
      [instanceId],
    );
    calls.length = 0;
    await askSome({ limit: chats, lease: "goes on" });
    const { byChat } = await readAll();
    const waited = [...byChat.values()].filter(({ wanted_at }) => wanted_at !== null);
    expect(calls[0]?.contacts.map(({ chatId }) => chatId)).toEqual(
      expect.arrayContaining(waited.map(({ chat_id }) => chat_id)),
    );
    await run({ kind: "save", calls: 0, decision: present("/z.jpg") });
    await check();
    const contacts = await readContacts(database.pool, instanceId);
    for (const contact of contacts) expect(contact).toMatchObject({ wanted_at: null, due_at: null });
  }

  return { instanceId, batchIds, run, check, workOff };
}

describe("batches that share contacts", () => {
  test("lose nobody who is waited for, keep nobody else, and add up, whatever is done to them", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 4, maxLength: 14 }), async (steps) => {
        const play = await createPlay();
        for (const step of steps) {
          await play.run(step);
          await play.check();
        }
        await play.workOff();
      }),
      { numRuns: 30 },
    );
  });

  test("come to the same end when all of it happens at once", async () => {
    const play = await createPlay();
    const stubborn = async (step: Command): Promise<void> => {
      for (;;) {
        try {
          return await play.run(step);
        } catch (error) {
          if (!isTransient(error)) throw error;
        }
      }
    };
    const [first = []] = fc.sample(fc.array(command, { minLength: 60, maxLength: 60 }), {
      numRuns: 1,
      seed: 7,
    });
    const lanes = [0, 1, 2, 3].map(async (lane) => {
      for (const [index, step] of first.entries()) if (index % 4 === lane) await stubborn(step);
    });
    await Promise.all(lanes);
    for (const batchId of play.batchIds) await find(batchId);
    await play.workOff();
  });
});
