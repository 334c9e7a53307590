import { afterAll, beforeAll, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Lookup } from "../../src/domain/outcome.ts";
import { cancelBatch } from "../../src/store/batches/cancel-batch.ts";
import { retryBatch } from "../../src/store/batches/retry-batch.ts";
import { eraseContact } from "../../src/store/contacts/erase-contact.ts";
import { eventually } from "../support/eventually.ts";
import { createGate, type Gate } from "../support/gate.ts";
import { acceptContacts, addInstance, hashErased, readContacts, toChatId } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";
import { openTestWorkers } from "../support/test-workers.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());

const x = toChatId(1);
const failed: Lookup = { outcome: { kind: "unclear", scope: "call", status: 200, excerpt: "{}" }, tookMs: 1 };

/** A worker whose call for `x` is in flight, and fails when the gate is opened. */
async function withCallInFlight(
  options: { readonly failures: number; readonly backlog?: number; readonly othersWait?: boolean },
  work: (stage: {
    readonly instanceId: InstanceId;
    readonly batchId: string;
    readonly answered: Gate;
    readonly workers: ReturnType<typeof openTestWorkers>;
  }) => Promise<void>,
): Promise<void> {
  const { failures, backlog = 0, othersWait = false } = options;
  const instanceId = await addInstance(database, { requestsPerSecond: 5 });
  const batchId = await acceptContacts(database.pool, instanceId, [x]);
  await database.pool.query("update avatars.contacts set attempts = $2 where instance_id = $1", [
    instanceId,
    failures,
  ]);
  const workers = openTestWorkers(database, { instanceIds: [instanceId], othersWait });
  const answered = createGate();
  workers.answers.set(x, failed);
  workers.held.set(x, answered.opened);
  try {
    await eventually(() => expect(workers.calls).toEqual([x]));
    workers.answers.delete(x);
    const others = Array.from({ length: backlog }, (_, n) => toChatId(10 + n));
    if (backlog > 0) await acceptContacts(database.pool, instanceId, others);
    await work({ instanceId, batchId, answered, workers });
  } finally {
    answered.open();
    await workers.stop();
  }
}

const readX = async (instanceId: InstanceId) =>
  (await readContacts(database.pool, instanceId)).find(({ chat_id: chatId }) => chatId === x);

test("a contact that is retried while its last call is in flight is called again before the rest of a backlog", async () => {
  // The call that is in flight is the last one: without the retry it would end the contact as unreachable.
  await withCallInFlight(
    { failures: 4, backlog: 2_000 },
    async ({ instanceId, batchId, answered, workers }) => {
      const urgent = await acceptContacts(database.pool, instanceId, [x], { priority: 0 });
      await cancelBatch(database.pool, batchId);
      await cancelBatch(database.pool, urgent);
      expect(await retryBatch(database.pool, urgent)).toBe(1);
      answered.open();
      await eventually(async () => {
        expect(await readX(instanceId)).toMatchObject({ status: "absent", due_at: null, attempts: 1 });
      });
      expect(workers.calls.filter((chatId) => chatId === x)).toHaveLength(2);
      expect(workers.calls.length).toBeLessThan(1_000);
    },
  );
});

test("a contact that is cancelled while its call is in flight is not called again when that fails", async () => {
  await withCallInFlight({ failures: 0, backlog: 3 }, async ({ instanceId, batchId, answered, workers }) => {
    await cancelBatch(database.pool, batchId);
    answered.open();
    await eventually(() => expect(workers.calls).toHaveLength(4));
    await workers.stop();
    expect(await readX(instanceId)).toMatchObject({ status: "unknown", due_at: null, attempts: 0 });
  });
});

test("a contact that is erased while its call is in flight is gone", async () => {
  await withCallInFlight({ failures: 0, backlog: 3 }, async ({ instanceId, answered, workers }) => {
    expect(await eraseContact(database.pool, hashErased, instanceId, x)).toBe(true);
    answered.open();
    await eventually(() => expect(workers.calls).toHaveLength(4));
    await workers.stop();
    expect(await readX(instanceId)).toBeUndefined();
  });
});

test("a call that outlasts several leases of its process counts its failure once, and its contact is called again", async () => {
  await withCallInFlight({ failures: 0, othersWait: true }, async ({ instanceId, answered, workers }) => {
    await eventually(() => expect(workers.countLeases()).toBeGreaterThan(3));
    expect(await readX(instanceId)).toMatchObject({ is_due: false, in_flight_epoch: "1" });
    answered.open();
    await eventually(async () => {
      expect(await readX(instanceId)).toMatchObject({ status: "absent", attempts: 2, in_flight_epoch: null });
    });
    expect(workers.calls).toEqual([x, x]);
  });
});

test("a worker that stops with calls in flight leaves none of their contacts marked", async () => {
  const instanceId = await addInstance(database, { requestsPerSecond: 1_000 });
  const chatIds = Array.from({ length: 40 }, (_, n) => toChatId(10 + n));
  await acceptContacts(database.pool, instanceId, chatIds);
  const workers = openTestWorkers(database, { instanceIds: [instanceId] });
  const answered = createGate();
  for (const chatId of chatIds) workers.held.set(chatId, answered.opened);
  await eventually(() => expect(workers.calls).toHaveLength(40));
  // Their answers are saved while the lease is handed over.
  answered.open();
  await workers.stop();
  const contacts = await readContacts(database.pool, instanceId);
  expect(contacts.filter(({ in_flight_epoch: mark }) => mark !== null)).toEqual([]);
});
