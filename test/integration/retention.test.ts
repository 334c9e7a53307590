import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { acceptChunk, createBatch } from "../../src/store/accept/accept-chunk.ts";
import { acceptRequest } from "../../src/store/accept/accept-request.ts";
import { cancelBatch } from "../../src/store/batches/cancel-batch.ts";
import { isTransient, openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { eraseContact } from "../../src/store/contacts/erase-contact.ts";
import { createFindBatch } from "../../src/store/batches/find-batch.ts";
import { findBatchProgress } from "../../src/store/batches/find-batch-progress.ts";
import { findBatchSummary } from "../../src/store/batches/find-batch-summary.ts";
import { createBatchFinisher, finishBatch } from "../../src/store/batches/finish-batches.ts";
import { tryLockGate, type Gate } from "../../src/store/postgres/gates.ts";
import { listBatches } from "../../src/store/batches/list-batches.ts";
import { listContactChanges } from "../../src/store/changes/list-contact-changes.ts";
import { createChangeReader } from "../../src/store/changes/read-changes.ts";
import { readResults } from "../../src/store/batches/read-results.ts";
import { refreshContact } from "../../src/store/accept/refresh-contact.ts";
import {
  removeInSteps,
  type Removal,
  type RemovedRows,
  type RemoveSome,
} from "../../src/store/retention/remove-in-steps.ts";
import { createBatchRemover } from "../../src/store/retention/remove-old-batches.ts";
import { createChangeRemover } from "../../src/store/retention/remove-old-changes.ts";
import { startTasks } from "../../src/lib/start-tasks.ts";
import { createRequestLocks } from "../../src/store/accept/request-locks.ts";
import { retryBatch } from "../../src/store/batches/retry-batch.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { listRemovalTasks } from "../../src/store/retention/removal-tasks.ts";
import { eventually } from "../support/eventually.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  hashErased,
  paceSettings,
  present,
  readContacts,
  readDatabaseNow,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

const day = 86_400_000;
const tables = ["avatar_changes", "batch_members", "batches"] as const;

let database: TestDatabase;
let pool: pg.Pool;
let instanceId: InstanceId;

beforeAll(async () => {
  database = await openTestDatabase();
  pool = database.pool;
});
afterAll(async () => database.close());
beforeEach(async () => {
  await pool.query("truncate avatars.batches, avatars.batch_members, avatars.avatar_changes");
  instanceId = await addInstance(database, { requestsPerSecond: 1000 });
});

const chats = (count: number, from = 1) =>
  Array.from({ length: count }, (_, index) => toChatId(from + index));

/** All that there is to remove, in one go. */
async function removeAll(removeSome: RemoveSome): Promise<RemovedRows> {
  const { removed, isMore } = await removeInSteps(pool, {
    gate: "old batches",
    removeSome,
    signal: new AbortController().signal,
    budgetMs: Infinity,
    sleep: async () => {},
  });
  expect(isMore).toBe(false);
  return removed;
}

/** One step, in a transaction that stays open while `meanwhile` runs. */
async function removeSomeDuring(
  removeSome: RemoveSome,
  meanwhile: (commit: () => Promise<unknown>, removal: Removal) => Promise<void>,
): Promise<void> {
  await inOpenTransaction(async (client) => {
    const removal = await removeSome(client);
    await meanwhile(async () => client.query("commit"), removal);
  });
}

async function inOpenTransaction<Result>(work: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    return await work(client);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

/** Rows by the ten thousand, without a look at foreign keys. */
async function load(sql: string, values: unknown[]): Promise<void> {
  await inOpenTransaction(async (client) => {
    await client.query("set local session_replication_role = replica");
    await client.query(sql, values);
    await client.query("commit");
  });
}

async function somebodyWaits(): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await pool.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    if (!rowCount) throw new Error("nobody waits");
  });
}

async function count(table: (typeof tables)[number], where = "true"): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `select count(*)::int as n from avatars.${table} where ${where}`,
  );
  return rows[0]?.n ?? Number.NaN;
}

/** Members without a batch: nobody would ever find them. */
const countOrphans = async () =>
  count("batch_members", "not exists (select from avatars.batches b where b.id = batch_id)");

/** Changes of a contact, in the order of their ids, that were seen so many days ago. */
async function addChanges(contactId: number, ...daysAgo: number[]): Promise<number[]> {
  const { rows } = await pool.query<{ id: string }>(
    `insert into avatars.avatar_changes (contact_id, to_version, seen_at)
     select $1, '/' || n, now() - d * interval '1 day' from unnest($2::float8[]) with ordinality as u (d, n) order by n
     returning id`,
    [contactId, daysAgo],
  );
  return rows.map(({ id }) => Number(id));
}

async function readChangeIds(): Promise<number[]> {
  const { rows } = await pool.query<{ id: string }>("select id from avatars.avatar_changes order by id");
  return rows.map(({ id }) => Number(id));
}

async function addContact(chat = 1): Promise<number> {
  await acceptContacts(pool, instanceId, [toChatId(chat)]);
  return (await readContacts(pool, instanceId)).at(-1)?.id ?? 0;
}

/** A batch of contacts that are nowhere, over for so many days; null: not over. */
async function addBatch(members: number, daysAgo: number | null, source = "test"): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(
    `with batch as (
       insert into avatars.batches
         (instance_id, source, requested_at, fresh_after, completed_intake_at, finished_at, accepted)
       values ($1, $4, now() - interval '300 days', now(), now(), now() - $3::float8 * interval '1 day', $2) returning id
     ), members as (
       insert into avatars.batch_members (batch_id, contact_id, position)
       select id, 1000000000 + n, n from batch, generate_series(1, $2) n
     )
     select id from batch`,
    [instanceId, members, daysAgo, source],
  );
  return rows[0]?.id ?? "";
}

async function setOver(batchId: string, daysAgo: number): Promise<void> {
  await pool.query(
    `update avatars.batches set finished_at = now() - $2::float8 * interval '1 day',
       requested_at = now() - $2::float8 * interval '1 day' where id = $1`,
    [batchId, daysAgo],
  );
}

async function readBatchIds(): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>("select id from avatars.batches");
  return rows.map(({ id }) => id);
}

async function answer(of: Database, id = instanceId): Promise<void> {
  const ledger = createRunLedger(of, paceSettings);
  const asked = await ask(ledger, id);
  const nowMs = await readDatabaseNow(pool);
  await ledger.saveLookups(
    asked.contacts.map(({ contactId }) =>
      toRecord(contactId, asked.epoch, nowMs, present(`/${randomUUID()}.jpg`)),
    ),
  );
  await giveBack(ledger, id, asked);
}

/** With connections that fail where they would wait for a lock. */
async function withImpatient(work: (impatient: Database) => Promise<void>): Promise<void> {
  const url = new URL(database.url);
  const name = url.pathname.slice(1);
  await pool.query(`alter database ${name} set lock_timeout = '1ms'`);
  const impatient = await openDatabase({ url: url.href, maxConnections: 4 });
  try {
    await work(impatient);
  } finally {
    await impatient.close();
    await pool.query(`alter database ${name} reset lock_timeout`);
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("old changes", () => {
  test("are removed, and those that are young enough stay, with the avatar itself", async () => {
    const contactId = await addContact();
    await answer(database);
    const before = await readContacts(pool, instanceId);
    await pool.query("delete from avatars.avatar_changes");
    const [, , , young, , youngest] = await addChanges(contactId, 9, 1.001, 3, 0.999, 1.01, 0);
    expect(await removeAll(createChangeRemover(day))).toEqual({ changes: 4 });
    expect(await readChangeIds()).toEqual([young, youngest]);
    expect((await readContacts(pool, instanceId)).map(({ version }) => version)).toEqual(
      before.map(({ version }) => version),
    );
    const history = await listContactChanges(pool, instanceId, toChatId(1), { after: undefined, limit: 10 });
    expect(history?.items.map(({ id }) => id)).toEqual([youngest, young]);
  });

  test("of which all are gone leave the feed where it was", async () => {
    const contactId = await addContact();
    const [, last = 0] = await addChanges(contactId, 9, 8);
    const cursor = (await createChangeReader(pool)(undefined, 0, 10)).next;
    await removeAll(createChangeRemover(day));
    const read = createChangeReader(pool, { shareMs: 0 });
    expect(await read(undefined, last, 10)).toEqual({ items: [], next: last, isMore: false });
    const [next] = await addChanges(contactId, 0);
    expect((await read(undefined, cursor, 10)).items.map(({ id }) => id)).toEqual([next]);
  });

  test("go by the thousands, each few in a transaction, and nothing is read beyond the first young ones", async () => {
    const contactId = await addContact();
    await load(
      `insert into avatars.avatar_changes (contact_id, to_version, seen_at)
       select $1, '/a.jpg', now() - case when n <= 150000 then interval '3 days' else interval '1 hour' end
       from generate_series(1, 200000) n`,
      [contactId],
    );
    const removeSome = createChangeRemover(day);
    const steps: number[] = [];
    const removed = await removeAll(async (client) => {
      const step = await removeSome(client);
      steps.push(step.removed.changes ?? 0);
      return step;
    });
    expect(removed).toEqual({ changes: 150_000 });
    expect(await count("avatar_changes")).toBe(50_000);
    // The last one finds only young ones.
    expect(steps).toEqual([...Array.from({ length: 30 }, () => 5_000), 0]);
  });

  test("of a contact that is just being erased are passed by, and removed later if it is not", async () => {
    const [contactId, other] = [await addContact(1), await addContact(2)];
    const [locked] = await addChanges(contactId, 9);
    await addChanges(other, 8, 7);
    const removeSome = createChangeRemover(day);
    await inOpenTransaction(async (client) => {
      await client.query("delete from avatars.contacts where id = $1", [contactId]);
      expect(await removeAll(removeSome)).toEqual({ changes: 2 });
    });
    await eventually(async () => expect(await readChangeIds()).toEqual([locked]));
    await eventually(async () => expect(await removeAll(removeSome)).toEqual({ changes: 1 }));
  });
});

describe("old batches", () => {
  test("are removed with their members, and all others stay", async () => {
    const gone = [await addBatch(3, 1.001), await addBatch(0, 200), await addBatch(1, 2, "refresh")];
    const kept = [await addBatch(3, 0.999), await addBatch(2, null), await addBatch(1, 0, "refresh")];
    expect(await removeAll(createBatchRemover(day))).toEqual({ batches: gone.length, members: 4 });
    expect((await readBatchIds()).toSorted()).toEqual(kept.toSorted());
    expect(await count("batch_members")).toBe(6);
  });

  test("leave their contacts as they are, those that others wait for, too", async () => {
    const done = await acceptContacts(pool, instanceId, chats(3));
    await answer(database);
    await finishBatch(pool, done);
    const cancelled = await acceptContacts(pool, instanceId, chats(3, 3));
    await cancelBatch(pool, cancelled);
    const waiting = await acceptContacts(pool, instanceId, chats(4));
    for (const batchId of [done, cancelled]) await setOver(batchId, 2);
    const before = await readContacts(pool, instanceId);
    expect(await removeAll(createBatchRemover(day))).toEqual({ batches: 2, members: 6 });
    expect(await readBatchIds()).toEqual([waiting]);
    expect(await readContacts(pool, instanceId)).toEqual(before);
  });

  test("that still wait are not removed, however old, nor those whose cancellation is not at its end", async () => {
    const waiting = await acceptContacts(pool, instanceId, chats(1));
    const cancelled = await acceptContacts(pool, instanceId, chats(1, 2));
    await pool.query(
      "update avatars.batches set requested_at = now() - interval '400 days', cancelled_at = case when id = $1 then now() - interval '300 days' end",
      [cancelled],
    );
    expect(await removeAll(createBatchRemover(day))).toEqual({});
    expect((await readBatchIds()).toSorted()).toEqual([waiting, cancelled].toSorted());
  });

  test("by the hundred thousand go in steps, small ones many at a time, and large ones in parts", async () => {
    await addBatch(40_000, 5);
    await load(
      `with made as (
         insert into avatars.batches (instance_id, source, fresh_after, completed_intake_at, finished_at, accepted)
         select $1, 'refresh', now(), now(), now() - interval '3 days' + n * interval '1 s', 1
         from generate_series(1, 30000) n returning id
       )
       insert into avatars.batch_members (batch_id, contact_id, position) select id, 1, 0 from made`,
      [instanceId],
    );
    const kept = await addBatch(10_000, 0);
    const removeSome = createBatchRemover(day);
    const steps: RemovedRows[] = [];
    const removed = await removeAll(async (client) => {
      const step = await removeSome(client);
      steps.push(step.removed);
      return step;
    });
    expect(removed).toEqual({ batches: 30_001, members: 70_000 });
    expect(await readBatchIds()).toEqual([kept]);
    expect(await count("batch_members")).toBe(10_000);
    expect(Math.max(...steps.map(({ members = 0 }) => members))).toBe(5_000);
    expect(Math.max(...steps.map(({ batches = 0 }) => batches))).toBe(1_000);
  });
});

const findReport = (batchId: string) => createFindBatch(pool, { defaultRate: 10, now: () => 0 })(batchId);

const listAll = async () => {
  const filter = { instanceIds: [instanceId], states: undefined, withRefreshes: true };
  return (await listBatches(pool, filter, { after: undefined, limit: 10 })).items;
};

async function removeOnce(batchId: string): Promise<void> {
  await removeSomeDuring(createBatchRemover(day), async (commit, { removed, isMore }) => {
    expect({ removed, isMore }).toEqual({ removed: { batches: 0, members: 5_000 }, isMore: true });
    // Nothing of it is seen before all of it is.
    expect(await findBatchSummary(pool, batchId)).toMatchObject({ state: "done" });
    await commit();
  });
  expect(await count("batch_members")).toBe(7_000);
}

describe("a large batch of which a part is removed", () => {
  test("is not there for readers any more", async () => {
    const batchId = await addBatch(12_000, 2);
    expect(await listAll()).toHaveLength(1);
    await removeOnce(batchId);
    expect(await findBatchSummary(pool, batchId)).toBeUndefined();
    expect(await findReport(batchId)).toBeUndefined();
    expect(await findBatchProgress(pool, batchId)).toBeUndefined();
    expect(await listAll()).toEqual([]);
    const results = collect(readResults(pool, { batchId }));
    await expect(results).rejects.toSatisfy(isTransient);
  });

  test("is neither tried again nor cancelled", async () => {
    await acceptContacts(pool, instanceId, chats(1));
    const batchId = await addBatch(12_000, 2);
    await pool.query(
      "insert into avatars.batch_members select $1, id, 0 from avatars.contacts where instance_id = $2",
      [batchId, instanceId],
    );
    await pool.query(
      "update avatars.contacts set wanted_at = null, due_at = null, turn = null where instance_id = $1",
      [instanceId],
    );
    await removeSomeDuring(createBatchRemover(day), async (commit) => void (await commit()));
    await pool.query(
      "insert into avatars.batch_members select $1, id, 0 from avatars.contacts where instance_id = $2 on conflict do nothing",
      [batchId, instanceId],
    );
    expect(await retryBatch(pool, batchId)).toBe(0);
    expect(await cancelBatch(pool, batchId)).toBe(0);
    expect(await readContacts(pool, instanceId)).toMatchObject([{ wanted_at: null, due_at: null }]);
    expect(await removeAll(createBatchRemover(day))).toMatchObject({ batches: 1 });
    expect(await countOrphans()).toBe(0);
  });

  test("is read to its end by whoever has begun before", async () => {
    await acceptContacts(pool, instanceId, chats(1));
    const batchId = await addBatch(0, 2);
    await pool.query(
      `with made as (
         insert into avatars.contacts (instance_id, chat_id) select $2, (80000000000 + n) || '@c.us'
         from generate_series(1, 12000) n returning id
       )
       insert into avatars.batch_members (batch_id, contact_id, position) select $1, id, id from made`,
      [batchId, instanceId],
    );
    const rows = readResults(pool, { batchId });
    expect((await rows.next()).done).toBe(false);
    expect(await removeAll(createBatchRemover(day))).toEqual({ batches: 1, members: 12_000 });
    expect(await collect(rows)).toHaveLength(11_999);
  });

  test("is gone on with by another process where the first one has died, and is not cut short by a failed step", async () => {
    const batchId = await addBatch(12_000, 2);
    await removeOnce(batchId);
    const second = createBatchRemover(day);
    // Rolled back: the step has remembered what has not come about.
    await inOpenTransaction(async (client) => second(client));
    await eventually(async () => expect(await removeAll(second)).toMatchObject({ members: 2_000 }));
    expect(await readBatchIds()).toEqual([batchId]);
    expect(await removeAll(second)).toEqual({ batches: 1, members: 5_000 });
    expect(await count("batch_members")).toBe(0);
    expect(await readBatchIds()).toEqual([]);
  });

  test("is gone on with although batches are to be kept for longer by now", async () => {
    const batchId = await addBatch(12_000, 2);
    await removeOnce(batchId);
    expect(await removeAll(createBatchRemover(30 * day))).toEqual({ batches: 1, members: 7_000 });
    expect(await readBatchIds()).toEqual([]);
  });

  test("of which a contact is just being erased waits for that, and is not forgotten", async () => {
    const batchId = await addBatch(7_000, 2);
    await addBatch(2, 2);
    const removeSome = createBatchRemover(day);
    await inOpenTransaction(async (client) => {
      await client.query(
        "delete from avatars.batch_members where batch_id = $1 and contact_id = 1000000007",
        [batchId],
      );
      expect(await removeAll(removeSome)).toEqual({ batches: 1, members: 7_001 });
      expect(await findBatchSummary(pool, batchId)).toBeUndefined();
    });
    await eventually(async () => expect(await removeAll(removeSome)).toEqual({ batches: 1, members: 1 }));
    expect(await countOrphans()).toBe(0);
  });
});

async function addUnanswered(): Promise<string> {
  const batchId = await acceptContacts(pool, instanceId, chats(3));
  await pool.query(
    "update avatars.contacts set wanted_at = null, due_at = null, turn = null, status = 'unreachable', attempts = 5 where instance_id = $1",
    [instanceId],
  );
  await setOver(batchId, 2);
  return batchId;
}

describe("an old batch that is tried again", () => {
  test("a moment before its removal stays, whole, and holds up no other", async () => {
    const batchId = await addUnanswered();
    const others = [await addBatch(2, 3), await addBatch(2, 1.5)];
    const removeSome = createBatchRemover(day);
    await inOpenTransaction(async (client) => {
      await client.query("update avatars.batches set finished_at = null, settled_through = 0 where id = $1", [
        batchId,
      ]);
      expect(await removeAll(removeSome)).toEqual({ batches: others.length, members: 4 });
      await client.query("commit");
    });
    expect(await removeAll(removeSome)).toEqual({});
    expect(await readBatchIds()).toEqual([batchId]);
    expect(await count("batch_members")).toBe(3);
  });

  test("a moment after is gone, and nobody waits for its contacts", async () => {
    const batchId = await addUnanswered();
    let retrying: Promise<number> | undefined;
    await removeSomeDuring(createBatchRemover(day), async (commit) => {
      retrying = retryBatch(pool, batchId);
      await somebodyWaits();
      await commit();
    });
    expect(await retrying).toBe(0);
    expect(await readBatchIds()).toEqual([]);
    expect((await readContacts(pool, instanceId)).every((contact) => contact.wanted_at === null)).toBe(true);
  });

  test("in good time goes on as ever", async () => {
    const batchId = await addUnanswered();
    expect(await retryBatch(pool, batchId)).toBe(3);
    expect(await removeAll(createBatchRemover(day))).toEqual({});
    await answer(database);
    expect(await finishBatch(pool, batchId)).toBeInstanceOf(Date);
    expect(await removeAll(createBatchRemover(day))).toEqual({});
  });
});

async function addIncomplete(daysAgo: number, from = 1): Promise<string> {
  const wish = { instanceId, source: "api", label: undefined, priority: 1, maxAgeMs: 0 };
  const batchId = await createBatch(pool, wish);
  await acceptChunk(
    pool,
    batchId,
    chats(2, from).map((chatId, position) => ({ chatId, externalRef: undefined, position })),
  );
  await pool.query(
    `with batch as (
       update avatars.batches set requested_at = requested_at - $2::float8 * interval '1 day', fresh_after = fresh_after - $2::float8 * interval '1 day'
       where id = $1 returning requested_at, fresh_after
     )
     update avatars.contacts c set wanted_at = b.requested_at, fresh_after = b.fresh_after from batch b
     where c.id in (select contact_id from avatars.batch_members where batch_id = $1)`,
    [batchId, daysAgo],
  );
  return batchId;
}

describe("a batch whose input never came to its end", () => {
  test("is removed so long after it was asked for, once its contacts have their answers", async () => {
    const [old, young] = [await addIncomplete(1.01), await addIncomplete(0.99, 3)];
    expect(await removeAll(createBatchRemover(day))).toEqual({});
    await answer(database);
    expect(await removeAll(createBatchRemover(day))).toEqual({ batches: 1, members: 2 });
    expect(await readBatchIds()).toEqual([young]);
    expect(await findBatchSummary(pool, old)).toBeUndefined();
    expect(await readContacts(pool, instanceId)).toHaveLength(4);
  });

  test("stays as long as a stream is at work on it", async () => {
    const batchId = await addIncomplete(2);
    await answer(database);
    const hold = createRequestLocks(pool).hold();
    expect(await hold.tryAdd(`batch:${batchId}`)).toBe(true);
    expect(await removeAll(createBatchRemover(day))).toEqual({});
    await hold.release();
    expect(await removeAll(createBatchRemover(day))).toEqual({ batches: 1, members: 2 });
  });

  test("is told to be gone to an import that is just adding to it, which has then added nothing", async () => {
    const batchId = await addIncomplete(2);
    await answer(database);
    await addContact(9);
    let adding: Promise<unknown> | undefined;
    await inOpenTransaction(async (client) => {
      await client.query("select from avatars.contacts where instance_id = $1 and chat_id = $2 for update", [
        instanceId,
        toChatId(9),
      ]);
      adding = acceptChunk(pool, batchId, [{ chatId: toChatId(9), externalRef: undefined, position: 9 }]);
      adding.catch(() => undefined);
      await somebodyWaits();
      expect(await removeAll(createBatchRemover(day))).toEqual({ batches: 1, members: 2 });
      await client.query("commit");
    });
    await expect(adding).rejects.toMatchObject({ code: "batch-complete" });
    expect(await countOrphans()).toBe(0);
  });
});

test("an idempotency key is forgotten before its batch is removed", async () => {
  const asker = { apiKeyId: "key", idempotencyKey: "once", fingerprint: "print" };
  const wish = {
    instanceId,
    source: "api",
    label: undefined,
    priority: 1,
    maxAgeMs: 0,
    callbackUrl: undefined,
  };
  const contacts = [{ chatId: toChatId(1), externalRef: undefined, position: 0 }];
  const ask = async () => acceptRequest(pool, async () => undefined, asker, wish, contacts, 0);
  const first = await ask();
  await answer(database);
  const batchId = (await readBatchIds())[0] ?? "";
  // The shortest batch there is: over at the moment when it was asked for.
  for (const [days, replayed] of [
    [0.999, true],
    [1.001, false],
  ] as const) {
    await setOver(batchId, days);
    await pool.query(
      "update avatars.idempotency_keys k set created_at = b.finished_at from avatars.batches b",
    );
    await removeAll(createBatchRemover(day));
    expect(await ask()).toMatchObject({ kind: "accepted", replayed });
  }
  expect(first).toMatchObject({ kind: "accepted", batch: { batchId } });
  expect(await readBatchIds()).not.toContain(batchId);
});

test("the mark of an erased chat is removed when no spent quota can be from before, two months later", async () => {
  for (const [chat, days] of [
    [1, 61.99],
    [2, 62.01],
    [3, 62.01],
  ] as const) {
    await eraseContact(pool, hashErased, instanceId, toChatId(chat));
    await pool.query(
      "update avatars.erased_chats set erased_at = now() - $3::float8 * interval '1 day' where instance_id = $1 and chat_hash = $2",
      [instanceId, hashErased(toChatId(chat)), days],
    );
  }
  // Erased once more.
  await eraseContact(pool, hashErased, instanceId, toChatId(3));
  const { told, stop } = run(undefined, undefined);
  await eventually(() => expect(told).toEqual([{ erasures: 1 }]));
  await stop();
  const { rows } = await pool.query("select chat_hash from avatars.erased_chats where instance_id = $1", [
    instanceId,
  ]);
  const left = [1, 3].map((chat) => ({ chat_hash: hashErased(toChatId(chat)) }));
  expect(rows).toEqual(expect.arrayContaining(left));
  expect(rows).toHaveLength(2);
});

async function addAll(): Promise<void> {
  await acceptContacts(pool, instanceId, chats(20));
  await answer(database);
  const contactId = (await readContacts(pool, instanceId))[0]?.id ?? 0;
  await addChanges(contactId, ...Array.from({ length: 100 }, () => 3));
  await addBatch(200, 3);
  for (let index = 0; index < 20; index += 1) await addBatch(5, 2);
}

describe("a removal", () => {
  test("keeps nobody waiting: intake, claim, answers, refresh, retry, cancellation, feed, erasure", async () => {
    await addAll();
    const open = await acceptContacts(pool, instanceId, chats(5));
    const removers = [createChangeRemover(day), createBatchRemover(day)];
    await withImpatient(async (impatient) =>
      inOpenTransaction(async (client) => {
        for (const removeSome of removers) {
          expect(Object.values((await removeSome(client)).removed)).not.toContain(0);
        }
        const other = impatient.pool;
        const batchId = await acceptContacts(other, instanceId, chats(25));
        await answer(impatient);
        await refreshContact(other, "key", instanceId, toChatId(1));
        await retryBatch(other, batchId);
        await cancelBatch(other, open);
        await createBatchFinisher(other)();
        await createChangeReader(other)(undefined, 0, 10);
        await collect(readResults(other, { batchId }));
        // Not the one whose old changes are being removed: that would wait for the milliseconds that the step takes.
        expect(await eraseContact(other, hashErased, instanceId, toChatId(20))).toBe(true);
        // It does fail where it would wait.
        const waiting = other.query("update avatars.avatar_changes set to_version = 'x'");
        await expect(waiting).rejects.toMatchObject({ code: "55P03" });
        await client.query("commit");
      }),
    );
    expect(await count("avatar_changes", "seen_at < now() - interval '1 day'")).toBe(0);
  });

  test("waits for nobody", async () => {
    await addAll();
    await inOpenTransaction(async (client) => {
      for (const table of tables) await client.query(`select from avatars.${table} for update`);
      await client.query("select from avatars.contacts for update");
      expect(await removeAll(createChangeRemover(day))).toEqual({ changes: 0 });
      expect(await removeAll(createBatchRemover(day))).toEqual({ batches: 0, members: 0 });
      await client.query("rollback; begin");
      for (const table of ["avatar_changes", "batch_members", "contacts"])
        await client.query(`select from avatars.${table} for update`);
      expect(await removeAll(createBatchRemover(day))).toEqual({ batches: 0, members: 0 });
    });
    await eventually(async () => expect((await removeAll(createBatchRemover(day))).batches).toBe(21));
  });

  test("gives up where a whole table is locked, and can be tried again", async () => {
    await addAll();
    await inOpenTransaction(async (client) => {
      await client.query("lock table avatars.batches, avatars.avatar_changes in access exclusive mode");
      await expect(removeAll(createChangeRemover(day))).rejects.toSatisfy(isTransient);
      await expect(removeAll(createBatchRemover(day))).rejects.toSatisfy(isTransient);
    });
    await eventually(async () => expect((await removeAll(createChangeRemover(day))).changes).toBe(100));
  });

  test("of several processes at once removes each row once, with or without the lock between them", async () => {
    for (let index = 0; index < 4; index += 1) await addBatch(6_000, 3);
    for (let index = 0; index < 40; index += 1) await addBatch(100, 2);
    const total = { batches: 44, members: 28_000 };
    let [batches, members] = [0, 0];
    const work = async (gate: Gate) => {
      const { removed } = await removeInSteps(pool, {
        gate,
        removeSome: createBatchRemover(day),
        signal: new AbortController().signal,
        budgetMs: Infinity,
        sleep: async () => {},
      });
      batches += removed.batches ?? 0;
      members += removed.members ?? 0;
    };
    await Promise.all((["old batches", "old batches", "old changes", "old resyncs"] as const).map(work));
    // What one has passed by because another one had it.
    await work("old batches");
    expect({ batches, members }).toEqual(total);
    expect(await count("batch_members")).toBe(0);
    expect(await readBatchIds()).toEqual([]);
  });

  test("has nothing to do where another process is at it", async () => {
    await addBatch(1, 3);
    await inOpenTransaction(async (client) => {
      expect(await tryLockGate(client, "old batches")).toBe(true);
      expect(await removeAll(createBatchRemover(day))).toEqual({});
    });
    expect(await readBatchIds()).toHaveLength(1);
  });

  test("ends when its time is spent, and says that there is more", async () => {
    await addBatch(20_000, 3);
    let now = 0;
    const options = {
      gate: "old batches" as const,
      removeSome: createBatchRemover(day),
      signal: new AbortController().signal,
      budgetMs: 25,
      now: () => (now += 10),
      sleep: async (ms: number) => expect(ms).toBe(40),
    };
    const removal = await removeInSteps(pool, options);
    expect(removal).toEqual({ removed: { batches: 0, members: 15_000 }, isMore: true });
    expect(await removeInSteps(pool, options)).toMatchObject({ removed: { batches: 1 }, isMore: false });
  });
});

const run = (keepChangesMs: number | undefined, keepBatchesMs: number | undefined, keepAuditMs?: number) => {
  const told: RemovedRows[] = [];
  const errors: string[] = [];
  const onRemoved = (removed: RemovedRows) => told.push(removed);
  const stop = startTasks(listRemovalTasks({ pool, keepChangesMs, keepBatchesMs, keepAuditMs, onRemoved }), {
    random: Math.random,
    onError: (task) => errors.push(task),
    stopWithinMs: 60_000,
  });
  return { told, errors, stop };
};

describe("a worker", () => {
  test("removes what is old and tells how much, and keeps for ever what is to be kept", async () => {
    await addChanges(await addContact(), 3);
    const kept = (await readBatchIds()).length;
    await addBatch(2, 3);
    const { told, stop } = run(undefined, day);
    await eventually(() => expect(told).toEqual([{ batches: 1, members: 2 }]));
    await stop();
    expect(await readBatchIds()).toHaveLength(kept);
    expect(await count("avatar_changes")).toBe(1);
    const both = run(day, undefined);
    await eventually(() => expect(both.told).toEqual([{ changes: 1 }]));
    await both.stop();
  });

  test("says what could not be removed, and stops at once", async () => {
    await addChanges(await addContact(), 3);
    const { errors, stop } = await inOpenTransaction(async (client) => {
      await client.query("lock table avatars.batches, avatars.avatar_changes in access exclusive mode");
      const running = run(day, day);
      await eventually(() =>
        expect(running.errors.toSorted()).toEqual(["remove old batches", "remove old changes"]),
      );
      return running;
    });
    await stop();
    expect(errors).toHaveLength(2);
  });
});

/** What a step asks the server. */
async function record(removeSome: RemoveSome): Promise<Set<string>> {
  const asked = new Set<string>();
  await inOpenTransaction(async (client) => {
    const recorder = new Proxy(client, {
      get(target, name) {
        if (name !== "query") return Reflect.get(target, name);
        return async (sql: string, values: unknown[]) => {
          asked.add(sql);
          return target.query(sql, values);
        };
      },
    });
    while ((await removeSome(recorder)).isMore);
  });
  return asked;
}

describe("the statements of a removal", () => {
  test("read no large table from end to end, with statistics and without", async () => {
    const prepared = new pg.Client({ connectionString: database.url });
    await prepared.connect();
    try {
      await acceptContacts(pool, instanceId, chats(1));
      await pool.query("alter table avatars.batches set (autovacuum_enabled = off)");
      const statements = new Set<string>();
      const explainAll = async () => {
        for (const sql of statements) {
          const { rows } = await prepared.query<{ "QUERY PLAN": string }>(`explain (generic_plan) ${sql}`);
          const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
          const scans = plan.match(/Seq Scan on (contacts|batch_members|avatar_changes|batches)\b/g);
          expect({ sql, plan, scans }).toMatchObject({ scans: null });
        }
      };
      // As in production (database.ts, remove-in-steps.ts).
      await prepared.query("set jit = off; set enable_bitmapscan = off; set enable_seqscan = off");
      await addBatch(6_000, 3);
      const incomplete = await addBatch(1, null);
      await pool.query("update avatars.batches set completed_intake_at = null where id = $1", [incomplete]);
      await addChanges((await readContacts(pool, instanceId))[0]?.id ?? 0, 3);
      for (const removeSome of [createChangeRemover(day), createBatchRemover(day)]) {
        for (const sql of await record(removeSome)) statements.add(sql);
      }
      expect(statements.size).toBe(10);
      await explainAll();
      await load(
        `insert into avatars.contacts (instance_id, chat_id)
         select $1, (81000000000 + n) || '@c.us' from generate_series(1, 30000) n`,
        [instanceId],
      );
      await load(
        `insert into avatars.avatar_changes (contact_id, to_version, seen_at)
         select id, '/a.jpg', now() - interval '2 days' from avatars.contacts where instance_id = $1`,
        [instanceId],
      );
      await load(
        `with made as (
           insert into avatars.batches (instance_id, source, fresh_after, completed_intake_at, finished_at, accepted)
           select $1, 'refresh', now(), now(), now() - n * interval '1 minute', 1
           from generate_series(1, 30000) n returning id
         )
         insert into avatars.batch_members (batch_id, contact_id, position) select id, 1, 0 from made`,
        [instanceId],
      );
      await addBatch(30_000, 3);
      await explainAll();
      await pool.query(
        "analyze avatars.contacts, avatars.avatar_changes, avatars.batches, avatars.batch_members",
      );
      await explainAll();
      // Not only because it is told to.
      await prepared.query("set enable_seqscan = on");
      await explainAll();
    } finally {
      await prepared.end();
    }
  });
});
