import { afterAll, beforeAll, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { requestedStep, toStep } from "../../src/domain/refresh/refresh-step.ts";
import { createBatch } from "../../src/store/accept/accept-chunk.ts";
import { openManualResync } from "../../src/store/resync/open-manual-resync.ts";
import { addInstance } from "../support/ledger.ts";
import { addResting } from "../support/resync.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";
import { waitForLock } from "../support/wait-for-lock.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

/** Runs `statement` and commits it when what `start` begins waits for it. */
async function overtake<T>(statement: string, instanceId: InstanceId, start: () => Promise<T>): Promise<T> {
  const other = await database.pool.connect();
  await other.query("begin");
  await other.query(statement, [instanceId]);
  const started = start();
  started.catch(() => undefined);
  await waitForLock(database.pool);
  await other.query("commit");
  other.release();
  return started;
}

test("a batch for an instance that is removed at the same moment is the caller's mistake, and no fault of ours", async () => {
  const instanceId = await addInstance(database);
  const batch = { instanceId, source: "test", label: undefined, priority: 1, maxAgeMs: 0 };
  await expect(
    overtake("delete from avatars.instances where id = $1", instanceId, () =>
      createBatch(database.pool, batch),
    ),
  ).rejects.toMatchObject({ code: "unknown-instance", message: `there is no instance ${instanceId}` });
});

test("a resync marks no contact that its filter has stopped to mean meanwhile", async () => {
  const instanceId = await addInstance(database);
  const now = new Date();
  const refreshAt = new Date(now.getTime() + 86_400_000);
  const contact = { step: toStep(86_400_000), refreshAt, checkedAt: now, status: "hidden" } as const;
  await addResting(database.pool, instanceId, [
    { ...contact, name: "answered" },
    { ...contact, name: "as before" },
  ]);
  // It waits for no contact: one that another transaction is about to change is passed over.
  const other = await database.pool.connect();
  await other.query("begin");
  await other.query(
    "update avatars.contacts set status = 'present' where instance_id = $1 and external_ref = 'answered'",
    [instanceId],
  );
  const opened = await openManualResync(database.pool, {
    instanceId,
    filter: { statuses: ["hidden"], kind: undefined, olderThanMs: undefined },
    mostContacts: undefined,
    now,
    isInWindow: false,
  });
  await other.query("commit");
  other.release();
  expect(opened.contacts).toBe(1);
  const { rows } = await database.pool.query<{ external_ref: string }>(
    `select external_ref from avatars.contacts where instance_id = $1 and refresh_step = ${requestedStep}`,
    [instanceId],
  );
  expect(rows).toEqual([{ external_ref: "as before" }]);
});
