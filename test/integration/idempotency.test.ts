import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RequestedBatch } from "../../src/domain/requests/batch-request.ts";
import type { IncomingContact } from "../../src/domain/requests/incoming-contact.ts";
import type { Batches } from "../../src/app/subjects/batches.ts";
import { acceptRequest } from "../../src/store/accept/accept-request.ts";
import { isTransient, openDatabase } from "../../src/store/postgres/database.ts";
import type { Estimate } from "../../src/store/batches/estimate-within.ts";
import { deleteOldRecords } from "../../src/store/accept/idempotency-records.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { openCommitCutter, type Cut } from "../support/commit-cutter.ts";
import { eventually } from "../support/eventually.ts";
import { createGate } from "../support/gate.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  paceSettings,
  present,
  readContacts,
  readDatabaseNow,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());

const weekMs = 7 * 24 * 3600 * 1000;

/** The port as the HTTP API has it. */
function createAccept(pool = database.pool, estimate: Estimate = async () => 1_234): Batches["accept"] {
  return (...request) => acceptRequest(pool, estimate, ...request);
}

const toWish = (instanceId: InstanceId, wish: Partial<RequestedBatch> = {}): RequestedBatch => ({
  instanceId,
  source: "api",
  label: undefined,
  priority: 1,
  maxAgeMs: weekMs,
  callbackUrl: undefined,
  ...wish,
});

const toWished = (...indexes: number[]): IncomingContact[] =>
  indexes.map((index, position) => ({ chatId: toChatId(index), externalRef: undefined, position }));

const toAsker = (idempotencyKey: string | undefined = randomUUID(), fingerprint = "body") => ({
  apiKeyId: "key",
  idempotencyKey,
  fingerprint,
});
const keyless = { ...toAsker(), idempotencyKey: undefined };

/** The batches of an instance with the number of their members. */
async function readBatches(instanceId: InstanceId) {
  const { rows } = await database.pool.query<Record<string, unknown>>(
    `select id, source, label, priority, callback_url, api_key_id, accepted, duplicates, rejected,
       completed_intake_at is not null as complete, fresh_after - requested_at = - interval '7 days' as for_a_week,
       (select count(*)::integer from avatars.batch_members m where m.batch_id = b.id) as members
     from avatars.batches b where instance_id = $1 order by requested_at`,
    [instanceId],
  );
  return rows;
}

async function countRecords(key: string): Promise<number> {
  const { rowCount } = await database.pool.query(`select from avatars.idempotency_keys where key = $1`, [
    key,
  ]);
  return rowCount ?? 0;
}

/** Asks for what is due, and answers it. */
async function answerAll(instanceId: InstanceId): Promise<void> {
  const ledger = createRunLedger(database, paceSettings);
  const asked = await ask(ledger, instanceId);
  const nowMs = await readDatabaseNow(database.pool);
  await ledger.saveLookups(
    asked.contacts.map(({ contactId }) => toRecord(contactId, asked.epoch, nowMs, present("/a.jpg"))),
  );
  await giveBack(ledger, instanceId, asked);
}

const fail: Estimate = async (client) => {
  await client.query("set local statement_timeout = 1");
  await client.query("select 1 / 0");
  return 0;
};

describe("a request", () => {
  test("is a batch with all that was asked for, whole when it is acknowledged", async () => {
    const instanceId = await addInstance(database);
    const wish = toWish(instanceId, {
      label: "july\0",
      priority: 2,
      callbackUrl: "https://crm.example/done",
    });
    const contacts = toWished(1, 2).map((contact, index) => ({ ...contact, externalRef: `a\tb${index}` }));
    const result = await createAccept()(keyless, wish, contacts, 3);
    const counts = { accepted: 2, duplicates: 0, rejected: 3 };
    expect(result).toEqual({
      kind: "accepted",
      batch: { batchId: expect.any(String), requestedAt: expect.any(Date), ...counts },
      etaMs: 1_234,
      replayed: false,
      acceptedAs: ["queued", "queued"],
    });
    expect(await readBatches(instanceId)).toMatchObject([
      {
        source: "api",
        label: "july",
        priority: 2,
        callback_url: "https://crm.example/done",
        api_key_id: "key",
        complete: true,
        for_a_week: true,
        members: 2,
        ...counts,
      },
    ]);
    const stored = await readContacts(database.pool, instanceId);
    expect(stored.map(({ external_ref, is_due }) => [external_ref, is_due])).toEqual([
      ["a\tb0", true],
      ["a\tb1", true],
    ]);
  });

  test("tells of each contact whether it costs a call", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    await answerAll(instanceId);
    await acceptContacts(database.pool, instanceId, [toChatId(3)]);
    const contacts = toWished(4, 1, 3, 4, 2, 1).map((contact) => ({
      ...contact,
      position: contact.position * 3,
    }));
    const result = await createAccept()(keyless, toWish(instanceId), contacts, 0);
    expect(result).toMatchObject({
      batch: { accepted: 4, duplicates: 2 },
      acceptedAs: ["queued", "fresh", "queued", "duplicate", "fresh", "duplicate"],
    });
    const again = await createAccept()(keyless, toWish(instanceId, { maxAgeMs: 0 }), toWished(1, 2), 0);
    expect(again).toMatchObject({ acceptedAs: ["queued", "queued"] });
  });

  test("may be empty, since all of it was invalid", async () => {
    const instanceId = await addInstance(database);
    expect(await createAccept()(keyless, toWish(instanceId), [], 5)).toMatchObject({
      kind: "accepted",
      batch: { accepted: 0, duplicates: 0, rejected: 5 },
      acceptedAs: [],
    });
    expect(await readBatches(instanceId)).toMatchObject([{ complete: true, rejected: 5, members: 0 }]);
  });

  test("for an instance that does not exist leaves nothing, not even its key", async () => {
    const asker = toAsker();
    const unknown = toWish("9999999999" as InstanceId);
    expect(await createAccept()(asker, unknown, toWished(1), 0)).toEqual({ kind: "unknown-instance" });
    expect(await readBatches(unknown.instanceId)).toEqual([]);
    expect(await countRecords(asker.idempotencyKey)).toBe(0);
  });

  test("for an instance that is being removed is refused when that is done", async () => {
    const instanceId = await addInstance(database);
    const remover = await database.pool.connect();
    onTestFinished(() => remover.release());
    await remover.query("begin");
    await remover.query("delete from avatars.instances where id = $1", [instanceId]);
    const accepting = createAccept()(toAsker(), toWish(instanceId), toWished(1), 0);
    await eventually(async () => expect(await countWaiting()).toBe(1));
    await remover.query("commit");
    expect(await accepting).toEqual({ kind: "unknown-instance" });
    expect(await readContacts(database.pool, instanceId)).toEqual([]);
  });

  test("is taken in also where its ETA cannot be told", async () => {
    const instanceId = await addInstance(database);
    const result = await createAccept(database.pool, fail)(keyless, toWish(instanceId), toWished(1), 0);
    expect(result).toMatchObject({ kind: "accepted", etaMs: undefined });
    expect(await readBatches(instanceId)).toMatchObject([{ accepted: 1, members: 1 }]);
  });

  test("that meets an erasure makes the contact anew, and acknowledges what is there", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await answerAll(instanceId);
    const eraser = await database.pool.connect();
    onTestFinished(() => eraser.release());
    await eraser.query("begin");
    await eraser.query("delete from avatars.contacts where instance_id = $1", [instanceId]);
    const wished = toWished(1).map((contact) => ({ ...contact, externalRef: "changed" }));
    const accepting = createAccept()(keyless, toWish(instanceId), wished, 0);
    await eventually(async () => expect(await countWaiting()).toBe(1));
    await eraser.query("commit");
    expect(await accepting).toMatchObject({ acceptedAs: ["queued"], batch: { accepted: 1 } });
    expect(await readContacts(database.pool, instanceId)).toMatchObject([{ is_due: true }]);
  });
});

/** Sessions of this database that wait for a lock. */
async function countWaiting(): Promise<number> {
  const { rows } = await database.pool.query<{ pid: number }>(
    `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rows.length;
}

describe("an idempotency key", () => {
  test("gives the same answer again, and takes nothing in again", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(2)]);
    await answerAll(instanceId);
    const asker = toAsker();
    const contacts = toWished(1, 2, 1, 3);
    const first = await createAccept()(asker, toWish(instanceId), contacts, 7);
    // Whatever has become of them since.
    await answerAll(instanceId);
    const second = await createAccept(database.pool, async () => 99)(asker, toWish(instanceId), contacts, 7);
    expect(second).toEqual({ ...first, replayed: true });
    expect(second).toMatchObject({ acceptedAs: ["queued", "fresh", "duplicate", "queued"], etaMs: 1_234 });
    expect(await readBatches(instanceId)).toHaveLength(2);
  });

  test("gives the same answer also where the ETA could not be told", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const accept = createAccept(database.pool, async () => undefined);
    const first = await accept(asker, toWish(instanceId), toWished(1), 0);
    expect(await accept(asker, toWish(instanceId), toWished(1), 0)).toEqual({ ...first, replayed: true });
  });

  test("with another body is refused", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    await createAccept()(asker, toWish(instanceId), toWished(1), 0);
    const other = { ...asker, fingerprint: "other" };
    expect(await createAccept()(other, toWish(instanceId), toWished(2), 0)).toEqual({ kind: "other-body" });
    expect(await readContacts(database.pool, instanceId)).toHaveLength(1);
  });

  test("of another API key is another one", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    await createAccept()(asker, toWish(instanceId), toWished(1), 0);
    const other = { ...asker, apiKeyId: "other", fingerprint: "other" };
    expect(await createAccept()(other, toWish(instanceId), toWished(1), 0)).toMatchObject({
      replayed: false,
    });
    expect(await readBatches(instanceId)).toHaveLength(2);
  });

  test("is forgotten after 24 hours, and not before", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const other = { ...asker, fingerprint: "other" };
    const age = (interval: string) =>
      database.pool.query(
        `update avatars.idempotency_keys set created_at = now() - $2::interval where key = $1`,
        [asker.idempotencyKey, interval],
      );
    const first = await createAccept()(asker, toWish(instanceId), toWished(1), 0);
    await age("23 hours 59 minutes");
    expect(await createAccept()(asker, toWish(instanceId), toWished(1), 0)).toEqual({
      ...first,
      replayed: true,
    });
    await age("24 hours");
    const second = await createAccept()(other, toWish(instanceId), toWished(1), 0);
    expect(second).toMatchObject({ kind: "accepted", replayed: false });
    expect(await createAccept()(other, toWish(instanceId), toWished(1), 0)).toEqual({
      ...second,
      replayed: true,
    });
    expect(await readBatches(instanceId)).toHaveLength(2);
  });

  test("is deleted when it is old, also by several at the same time", async () => {
    const key = randomUUID();
    await database.pool.query(
      `insert into avatars.idempotency_keys (api_key_id, key, kind, batch_id, fingerprint, answer, created_at)
       select n::text, $1::text, 'answered', gen_random_uuid(), '', '{}', now() - case when n <= 1200 then interval '25 hours' else '23 hours' end
       from generate_series(1, 1210) n`,
      [key],
    );
    const deleted = await Promise.all([1, 2, 3].map(async () => deleteOldRecords(database.pool)));
    expect(deleted.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(1_200);
    expect(await countRecords(key)).toBe(10);
  });

  test("sent twenty times at once makes one batch; who comes too early is told so", async () => {
    const instanceId = await addInstance(database);
    const asker = toAsker();
    const { opened, open } = createGate();
    const accept = createAccept(database.pool, async () => {
      await opened;
      return 1;
    });
    let inProgress = 0;
    const requests = Array.from({ length: 20 }, async () => {
      const result = await accept(asker, toWish(instanceId), toWished(1, 2, 3), 0);
      if (result.kind === "in-progress") inProgress += 1;
      if (inProgress > 0) open();
      return result;
    });
    const results = await Promise.all(requests);
    const accepted = results.filter((result) => result.kind === "accepted");
    expect(accepted.length + inProgress).toBe(20);
    expect(inProgress).toBeGreaterThan(0);
    expect(accepted.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(new Set(accepted.map(({ batch }) => batch.batchId)).size).toBe(1);
    expect(await readBatches(instanceId)).toMatchObject([{ members: 3, accepted: 3 }]);
    expect(await accept(asker, toWish(instanceId), toWished(1, 2, 3), 0)).toMatchObject({ replayed: true });
  });
});

/** A connection that is lost with the next commits, and a port on it. */
async function openCut(...cuts: Cut[]): Promise<Batches["accept"]> {
  const cutter = await openCommitCutter(database.url);
  const behind = await openDatabase({ url: cutter.url, maxConnections: 4 });
  onTestFinished(async () => {
    await behind.close();
    await cutter.close();
  });
  cutter.cut(...cuts);
  return createAccept(behind.pool);
}

describe.each([
  ["with a key", toAsker()],
  ["without a key", keyless],
])("when the connection is lost, a request %s", (_, asker) => {
  test("is taken in once by another try, where the commit did not arrive", async () => {
    const instanceId = await addInstance(database);
    const accept = await openCut("before");
    const own = { ...asker, apiKeyId: randomUUID() };
    const result = await accept(own, toWish(instanceId), toWished(1, 2, 2), 0);
    expect(result).toMatchObject({ replayed: false, acceptedAs: ["queued", "queued", "duplicate"] });
    expect(await readBatches(instanceId)).toMatchObject([{ accepted: 2, duplicates: 1, members: 2 }]);
  });

  test("is not taken in twice, where the commit arrived and its answer did not", async () => {
    const instanceId = await addInstance(database);
    const accept = await openCut("after");
    const own = { ...asker, apiKeyId: randomUUID() };
    const result = await accept(own, toWish(instanceId), toWished(1, 2, 2), 0);
    expect(result).toMatchObject({ replayed: false, acceptedAs: ["queued", "queued", "duplicate"] });
    expect(await readBatches(instanceId)).toMatchObject([
      { id: result.kind === "accepted" && result.batch.batchId, accepted: 2, duplicates: 1, members: 2 },
    ]);
  });

  test("fails within seconds where it stays so, and has done nothing", async () => {
    const instanceId = await addInstance(database);
    const accept = await openCut(...Array.from({ length: 20 }, () => "before" as const));
    const own = { ...asker, apiKeyId: randomUUID() };
    const error: unknown = await accept(own, toWish(instanceId), toWished(1), 0).catch(
      (error: unknown) => error,
    );
    expect(isTransient(error)).toBe(true);
    expect(await readBatches(instanceId)).toEqual([]);
    expect(await readContacts(database.pool, instanceId)).toEqual([]);
  });

  test("is done or not done, never by halves, when its server process is killed in the middle", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(2)]);
    const blocker = await database.pool.connect();
    onTestFinished(() => blocker.release());
    await blocker.query("begin");
    await blocker.query("select from avatars.contacts where instance_id = $1 for update", [instanceId]);
    const own = { ...asker, apiKeyId: randomUUID() };
    const accepting = createAccept()(own, toWish(instanceId), toWished(1, 2, 3), 0);
    // It has made its batch and waits in the middle of its contacts.
    await eventually(async () => expect(await killWaiting()).toBe(1));
    expect(await readBatches(instanceId)).toHaveLength(1);
    expect(await readContacts(database.pool, instanceId)).toHaveLength(1);
    await blocker.query("commit");
    expect(await accepting).toMatchObject({ kind: "accepted", replayed: false });
    expect(await readBatches(instanceId)).toMatchObject([{}, { accepted: 3, members: 3 }]);
  });
});

async function killWaiting(): Promise<number> {
  const { rowCount } = await database.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rowCount ?? 0;
}

test("a server that has not noticed that its client is gone keeps the key, and nothing is taken in twice", async () => {
  const instanceId = await addInstance(database);
  const accept = await openCut("half-open");
  const asker = toAsker();
  const error: unknown = await accept(asker, toWish(instanceId), toWished(1), 0).catch(
    (error: unknown) => error,
  );
  expect(isTransient(error)).toBe(true);
  expect(await createAccept()(asker, toWish(instanceId), toWished(1), 0)).toEqual({ kind: "in-progress" });
  expect(await readBatches(instanceId)).toEqual([]);
});
