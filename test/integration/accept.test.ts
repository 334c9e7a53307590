import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { acceptChunk, createBatch, finishIntake } from "../../src/store/accept/accept-chunk.ts";
import type { NewBatch } from "../../src/domain/requests/batch-request.ts";
import { findBatchProgress } from "../../src/store/batches/find-batch-progress.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  giveUp,
  hidden,
  paceSettings,
  present,
  readAllDue,
  readContact,
  readContacts,
  readDatabaseNow,
  retry,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

const weekMs = 7 * 24 * 3600 * 1000;

const openBatch = async (instanceId: InstanceId, batch: Partial<NewBatch> = {}) =>
  createBatch(database.pool, {
    instanceId,
    source: "test",
    label: undefined,
    priority: 1,
    maxAgeMs: 0,
    ...batch,
  });

const progressOf = async (batchId: string) => {
  const progress = await findBatchProgress(database.pool, batchId);
  if (progress === undefined) throw new Error("no such batch");
  return progress;
};

/** Reads what is due and saves one answer for each of it. */
async function answerAll(instanceId: InstanceId, decision = present("/a.jpg")): Promise<number> {
  const asked = await ask(ledger, instanceId);
  const nowMs = await readDatabaseNow(database.pool);
  await ledger.saveLookups(
    asked.contacts.map(({ contactId }) => toRecord(contactId, asked.epoch, nowMs, decision)),
  );
  await giveBack(ledger, instanceId, asked);
  return asked.contacts.length;
}

const isIdle = async (instanceId: InstanceId) => (await readAllDue(ledger, instanceId)).length === 0;

const toChunk = (indexes: number[]) =>
  indexes.map((index, position) => ({ chatId: toChatId(index), externalRef: undefined, position }));

describe("a batch", () => {
  test("takes a chat id once, however often it comes, and says how many were the same", async () => {
    const instanceId = await addInstance(database);
    const batchId = await openBatch(instanceId, { label: "july" });
    expect(await acceptChunk(database.pool, batchId, toChunk([1, 2, 1, 3, 1]))).toBe(3);
    expect(await acceptChunk(database.pool, batchId, toChunk([3, 4]))).toBe(1);
    expect(await progressOf(batchId)).toMatchObject({ intakeComplete: false, accepted: 4, duplicates: 3 });
    // The second chunk was sent twice: its contacts are no duplicates.
    await acceptChunk(database.pool, batchId, toChunk([3, 4]));
    await finishIntake(database.pool, batchId, { contacts: 7, rejected: 7 });
    expect(await progressOf(batchId)).toMatchObject({
      batchId,
      instanceId,
      accepted: 4,
      duplicates: 3,
      rejected: 7,
      intakeComplete: true,
      pending: 4,
      finished: { present: 0, absent: 0, hidden: 0, invalid: 0, unreachable: 0, unknown: 0 },
    });
    expect(await readContacts(database.pool, instanceId)).toHaveLength(4);
  });

  test("keeps the last external ref that is not empty, of one chunk and of all", async () => {
    const instanceId = await addInstance(database);
    const batchId = await openBatch(instanceId);
    const refs = async (...given: (string | undefined)[]) => {
      await acceptChunk(
        database.pool,
        batchId,
        given.map((externalRef, position) => ({ chatId: toChatId(1), externalRef, position })),
      );
      return (await readContact(database.pool, instanceId)).external_ref;
    };
    expect(await refs(undefined, "crm-1", undefined, "crm-2", undefined)).toBe("crm-2");
    expect(await refs(undefined)).toBe("crm-2");
    expect(await refs("crm-3")).toBe("crm-3");
    // Also where the answer is fresh and nothing else changes.
    await answerAll(instanceId);
    const before = await readContact(database.pool, instanceId);
    expect(await refs("crm-4")).toBe("crm-4");
    expect(await readContact(database.pool, instanceId)).toEqual({ ...before, external_ref: "crm-4" });
  });

  test("stores any external ref as it is, but for what Postgres cannot store", async () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "\\", "N", "\t", "\n", "\r", "\0", "\ud83d", "😀", '"', ".", ","),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 5 }), async (refs) => {
        const instanceId = await addInstance(database);
        const batchId = await openBatch(instanceId);
        const chunk = refs.map((externalRef, position) => ({
          chatId: toChatId(position),
          externalRef,
          position,
        }));
        await acceptChunk(database.pool, batchId, chunk);
        const stored = await readContacts(database.pool, instanceId);
        const byChat = new Map(stored.map((contact) => [contact.chat_id, contact.external_ref]));
        expect(chunk.map(({ chatId }) => byChat.get(chatId))).toEqual(
          refs.map((ref) => ref.replaceAll("\0", "").toWellFormed()),
        );
      }),
      { numRuns: 30 },
    );
  });

  test("can be labelled with any text", async () => {
    const instanceId = await addInstance(database);
    const batchId = await openBatch(instanceId, { label: "a\0b\ud800c" });
    const { rows } = await database.pool.query("select label from avatars.batches where id = $1", [batchId]);
    expect(rows).toEqual([{ label: "ab\ufffdc" }]);
  });

  test("asks nothing of contacts whose answer is fresh enough for it", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await answerAll(instanceId, hidden);
    const before = await readContact(database.pool, instanceId);
    const batchId = await acceptContacts(database.pool, instanceId, [toChatId(1)], { maxAgeMs: weekMs });
    expect(await readContact(database.pool, instanceId)).toEqual(before);
    expect(await isIdle(instanceId)).toBe(true);
    expect(await progressOf(batchId)).toMatchObject({ accepted: 1, pending: 0, finished: { hidden: 1 } });
  });

  test("asks for contacts whose answer is older than it accepts", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await answerAll(instanceId);
    await database.pool.query(
      "update avatars.contacts set checked_at = now() - interval '8 days' where instance_id = $1",
      [instanceId],
    );
    const batchId = await acceptContacts(database.pool, instanceId, [toChatId(1)], { maxAgeMs: weekMs });
    expect(await progressOf(batchId)).toMatchObject({ pending: 1, finished: { present: 0 } });
    expect(await answerAll(instanceId)).toBe(1);
    expect(await progressOf(batchId)).toMatchObject({ pending: 0, finished: { present: 1 } });
  });

  test("asks again for contacts that were given up, however lately, with all attempts anew", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await answerAll(instanceId);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await answerAll(instanceId, giveUp);
    const batchId = await acceptContacts(database.pool, instanceId, [toChatId(1)], { maxAgeMs: weekMs });
    expect(await readContact(database.pool, instanceId)).toMatchObject({ attempts: 0, is_due: true });
    expect(await progressOf(batchId)).toMatchObject({ pending: 1 });
    await answerAll(instanceId, giveUp);
    expect(await progressOf(batchId)).toMatchObject({ pending: 0, finished: { unreachable: 1 } });
  });
});

async function waitInBackoff(priority: number) {
  const instanceId = await addInstance(database);
  await acceptContacts(database.pool, instanceId, [toChatId(1)], { priority });
  await answerAll(instanceId, retry);
  return instanceId;
}

describe("a contact that somebody waits for already", () => {
  test.each([
    [1, 1],
    [1, 2],
    [0, 2],
  ])("with priority %i keeps it, its attempts and its backoff when asked for with %i", async (own, asked) => {
    const instanceId = await waitInBackoff(own);
    const before = await readContact(database.pool, instanceId);
    await acceptContacts(database.pool, instanceId, [toChatId(1)], { priority: asked });
    const after = await readContact(database.pool, instanceId);
    expect(after).toEqual({ ...before, fresh_after: after.fresh_after });
    expect(before.attempts).toBe(1);
    expect(await isIdle(instanceId)).toBe(true);
  });

  test("moves up when asked for more urgently, and is tried at once, with what it has spent", async () => {
    const instanceId = await waitInBackoff(2);
    await acceptContacts(database.pool, instanceId, [toChatId(1)], { priority: 0 });
    expect(await readContact(database.pool, instanceId)).toMatchObject({
      priority: 0,
      attempts: 1,
      is_due: true,
    });
  });

  test("needs an answer that is new enough for the most demanding of them", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)], { maxAgeMs: 0 });
    const { fresh_after } = await readContact(database.pool, instanceId);
    await acceptContacts(database.pool, instanceId, [toChatId(1)], { maxAgeMs: weekMs });
    expect((await readContact(database.pool, instanceId)).fresh_after).toEqual(fresh_after);
  });
});

test("a contact at rest takes the priority of who asks for it next, up or down", async () => {
  const instanceId = await addInstance(database);
  for (const priority of [1, 2, 0, 2]) {
    await acceptContacts(database.pool, instanceId, [toChatId(1)], { priority });
    expect(await readContact(database.pool, instanceId)).toMatchObject({ priority, attempts: 0 });
    await answerAll(instanceId);
  }
});

describe("two batches that share a contact", () => {
  test("are both pending until it is answered, and both done then", async () => {
    const instanceId = await addInstance(database);
    const first = await acceptContacts(database.pool, instanceId, [1, 2].map(toChatId));
    const second = await acceptContacts(database.pool, instanceId, [2, 3].map(toChatId), {
      maxAgeMs: weekMs,
    });
    const pending = async () => [(await progressOf(first)).pending, (await progressOf(second)).pending];
    expect(await pending()).toEqual([2, 2]);
    await answerAll(instanceId);
    expect(await pending()).toEqual([0, 0]);
  });

  test("are done one by one when the later one wants a newer answer than the first", async () => {
    const instanceId = await addInstance(database);
    const first = await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await answerAll(instanceId);
    const second = await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    expect((await progressOf(first)).pending).toBe(0);
    expect((await progressOf(second)).pending).toBe(1);
  });

  test("are both pending when the one that was opened first takes the contact in last", async () => {
    const instanceId = await addInstance(database);
    const early = await openBatch(instanceId);
    const late = await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await acceptChunk(database.pool, early, [{ chatId: toChatId(1), externalRef: undefined, position: 1 }]);
    expect((await progressOf(late)).pending).toBe(1);
    expect((await progressOf(early)).pending).toBe(1);
    await answerAll(instanceId);
    expect((await progressOf(late)).pending).toBe(0);
    expect((await progressOf(early)).pending).toBe(0);
  });
});

test("a batch that nobody knows has no progress, and takes no contacts", async () => {
  expect(await findBatchProgress(database.pool, randomUUID())).toBeUndefined();
  const chunk = [{ chatId: toChatId(1), externalRef: undefined, position: 1 }];
  await expect(acceptChunk(database.pool, randomUUID(), chunk)).rejects.toMatchObject({ code: "P0002" });
});

test("batches that many producers send in at once lose nothing, in whatever order their contacts come", async () => {
  const instanceId = await addInstance(database);
  const indexes = Array.from({ length: 200 }, (_, index) => index);
  const batches = await Promise.all(
    Array.from({ length: 8 }, async (_, producer) => {
      const own = producer % 2 ? indexes : indexes.toReversed();
      return acceptContacts(database.pool, instanceId, own.slice(producer * 5).map(toChatId));
    }),
  );
  expect(await readContacts(database.pool, instanceId)).toHaveLength(200);
  for (const [producer, batchId] of batches.entries()) {
    expect(await progressOf(batchId)).toMatchObject({ accepted: 200 - producer * 5, duplicates: 0 });
  }
});
