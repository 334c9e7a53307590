import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Arrival } from "../../src/domain/ledger/due-queue.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { cancelBatch } from "../../src/store/batches/cancel-batch.ts";
import { retryBatch } from "../../src/store/batches/retry-batch.ts";
import { openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { removeOldArrivals } from "../../src/store/work/arrivals.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { applyLookupsAside } from "../../src/store/saves/apply-lookups-aside.ts";
import type { Lane } from "../../src/worker/lane/lane.ts";
import { createArrivalsLook } from "../../src/worker/run/watch-arrivals.ts";
import { eventually } from "../support/eventually.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  giveUp,
  paceSettings,
  present,
  retry,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let leases: Database;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  leases = await openDatabase({ url: database.url, maxConnections: 2, readsByIndex: true });
  ledger = createRunLedger(database, paceSettings, leases);
});
afterAll(async () => {
  await leases.close();
  await database.close();
});

const chatIds = (count: number) => Array.from({ length: count }, (_, index) => toChatId(index));

type Told = Omit<Arrival, "id">;

/**
 * A process that looks for arrivals as the worker does, from now on. Each look returns what it has told the lanes. What came
 * before may be told as well, where a transaction of any database is older.
 */
async function openLook(): Promise<() => Promise<Told[]>> {
  let told: Told[] = [];
  const { rows } = await database.pool.query<{ id: number }>("select id::float8 as id from avatars.arrivals");
  const before = new Set(rows.map(({ id }) => id));
  const findLane = () =>
    ({
      arrive({ id, ...arrival }: Arrival) {
        if (!before.has(id)) told.push(arrival);
        return true;
      },
    }) as unknown as Lane;
  const look = createArrivalsLook({ ledger, findLane });
  await look();
  return async () => {
    told = [];
    await look();
    return told;
  };
}

/** A transaction of another program that asks for contacts, and is left open. */
async function beginToEnqueue(instanceId: InstanceId, chatId = toChatId(1)) {
  const client = await database.pool.connect();
  await client.query("begin");
  await client.query("select avatars.enqueue($1, $2)", [instanceId, [chatId]]);
  return async (end: "commit" | "rollback") => {
    await client.query(end);
    client.release();
  };
}

const any = (instanceId: InstanceId): Told => ({ instanceId, priority: undefined, turn: undefined });

describe("what arrives", () => {
  test.each([0, 1, 2])(
    "by a request of priority %i is told once, with a turn that none of its contacts is before",
    async (priority) => {
      const instanceId = await addInstance(database);
      await database.pool.query("update avatars.instances set turns = '{7,8,9}' where id = $1", [instanceId]);
      const look = await openLook();
      await acceptContacts(database.pool, instanceId, chatIds(3), { priority });
      expect(await look()).toEqual([{ instanceId, priority, turn: 8 + priority }]);
      expect(await look()).toEqual([]);
    },
  );

  test("is nothing where all that is asked for is fresh", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, chatIds(1));
    const { epoch, contacts, databaseNowMs } = await ask(ledger, instanceId);
    await ledger.saveLookups(
      contacts.map(({ contactId }) => toRecord(contactId, epoch, databaseNowMs, present("/a.jpg"))),
    );
    const look = await openLook();
    await acceptContacts(database.pool, instanceId, chatIds(1), { maxAgeMs: 3_600_000 });
    expect(await look()).toEqual([]);
  });

  test("is told of every instance that is noted, in any queue", async () => {
    const ids = [await addInstance(database), await addInstance(database)];
    const look = await openLook();
    await ledger.noteArrivals(ids);
    expect(await look()).toEqual(ids.map(any));
  });

  test("by a retry of a batch, or by a cancelled one that others share, may be in any queue", async () => {
    const instanceId = await addInstance(database);
    const [cancelled, left] = [
      await acceptContacts(database.pool, instanceId, chatIds(2), { priority: 0 }),
      await acceptContacts(database.pool, instanceId, chatIds(2), { priority: 2 }),
    ];
    const look = await openLook();
    await cancelBatch(database.pool, cancelled);
    expect(await look()).toContainEqual(any(instanceId));
    const { epoch, contacts, databaseNowMs } = await ask(ledger, instanceId);
    await ledger.saveLookups(
      contacts.map(({ contactId }) => toRecord(contactId, epoch, databaseNowMs, giveUp)),
    );
    expect(await look()).toEqual([]);
    await retryBatch(database.pool, left);
    expect(await look()).toContainEqual(any(instanceId));
  });

  test("when a record is written that was put aside, and its contact is still due", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, chatIds(1));
    const { epoch, contacts, databaseNowMs } = await ask(ledger, instanceId);
    const records = contacts.map(({ contactId }) => toRecord(contactId, epoch, databaseNowMs, retry));
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select from avatars.contacts where instance_id = $1 for no key update", [instanceId]);
    expect((await ledger.saveLookups(records)).setAside.size).toBe(1);
    await client.query("commit");
    client.release();
    const look = await openLook();
    expect(await applyLookupsAside(database.pool, false, () => true)).toMatchObject({ records: 1 });
    expect(await look()).toEqual([any(instanceId)]);
  });
});

describe("a look", () => {
  test("tells what a transaction brings that began before it and commits after it, though later ones were told", async () => {
    const [late, prompt] = [await addInstance(database), await addInstance(database)];
    const look = await openLook();
    const end = await beginToEnqueue(late);
    await acceptContacts(database.pool, prompt, chatIds(1));
    expect(await look()).toMatchObject([{ instanceId: prompt }]);
    expect(await look()).toEqual([]);
    await end("commit");
    expect(await look()).toMatchObject([{ instanceId: late }]);
    expect(await look()).toEqual([]);
  });

  test("tells nothing of a transaction that was rolled back", async () => {
    const instanceId = await addInstance(database);
    const look = await openLook();
    const end = await beginToEnqueue(instanceId);
    expect(await look()).toEqual([]);
    await end("rollback");
    expect(await look()).toEqual([]);
  });

  test("of another process tells the same", async () => {
    const instanceId = await addInstance(database);
    const looks = [await openLook(), await openLook()];
    const end = await beginToEnqueue(instanceId);
    await looks[0]!();
    await end("commit");
    for (const look of looks) expect(await look()).toMatchObject([{ instanceId }]);
  });

  test("reads no more than what is new, while a snapshot is held open and arrivals come", async () => {
    const instanceId = await addInstance(database);
    const dump = await database.pool.connect();
    try {
      await dump.query("begin isolation level repeatable read read only");
      await dump.query("select count(*) from avatars.contacts");
      let { horizon } = await ledger.readArrivals(undefined);
      for (let round = 0; round < 3; round += 1) {
        for (let n = 0; n < 20; n += 1) await ledger.noteArrivals([instanceId]);
        const told = await ledger.readArrivals(horizon);
        expect(told.arrivals.length).toBeGreaterThanOrEqual(20);
        ({ horizon } = told);
        // Only a transaction that writes, of whatever database, could keep them.
        await eventually(async () => {
          const next = await ledger.readArrivals(horizon);
          ({ horizon } = next);
          expect(next.arrivals).toEqual([]);
        });
      }
    } finally {
      await dump.query("rollback");
      dump.release();
    }
  });
});

test("whatever writers commit, in whatever order, is told once; what they roll back never is", async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("begin" as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("commit", "rollback"), writer: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("look" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("at once" as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), async (steps) => {
      const look = await openLook();
      const open: { readonly instanceId: InstanceId; end: (how: "commit" | "rollback") => Promise<void> }[] =
        [];
      const committed: InstanceId[] = [];
      const told: InstanceId[] = [];
      const end = async (at: number, how: "commit" | "rollback") => {
        const [writer] = open.splice(at, 1);
        if (writer === undefined) return;
        if (how === "commit") committed.push(writer.instanceId);
        await writer.end(how);
      };
      for (const { kind, ...rest } of steps) {
        if (kind === "look") told.push(...(await look()).map(({ instanceId }) => instanceId));
        else if (kind === "commit" || kind === "rollback") {
          const writer = "writer" in rest ? rest.writer : 0;
          await end(writer % Math.max(1, open.length), kind);
        } else {
          const instanceId = await addInstance(database);
          if (kind === "at once") {
            committed.push(instanceId);
            await acceptContacts(database.pool, instanceId, chatIds(2));
          } else if (open.length < 4) {
            open.push({ instanceId, end: await beginToEnqueue(instanceId) });
          }
        }
      }
      while (open.length > 0) await end(0, "commit");
      told.push(...(await look()).map(({ instanceId }) => instanceId));
      expect(told.toSorted()).toEqual(committed.toSorted());
    }),
    { numRuns: 25 },
  );
});

test("nothing is missed of what many writers send in at once, while a process looks again and again", async () => {
  const look = await openLook();
  const ids = await Promise.all(Array.from({ length: 6 }, async () => addInstance(database)));
  const writers = { areDone: false };
  const writing = Promise.all(
    ids.map(async (instanceId) => {
      for (let n = 0; n < 15; n += 1) await acceptContacts(database.pool, instanceId, [toChatId(n)]);
    }),
  ).finally(() => {
    writers.areDone = true;
  });
  const told = new Map<string, number>();
  const lookOnce = async () => {
    for (const { instanceId } of await look()) told.set(instanceId, (told.get(instanceId) ?? 0) + 1);
  };
  while (!writers.areDone) await lookOnce();
  await writing;
  await lookOnce();
  expect(told).toEqual(new Map(ids.map((id) => [id, 15])));
});

const count = async (instanceId: InstanceId) => {
  const { rows } = await database.pool.query<{ n: number }>(
    "select count(*)::int as n from avatars.arrivals where instance_id = $1",
    [instanceId],
  );
  return rows[0]?.n;
};
const age = async (instanceId: InstanceId) =>
  database.pool.query(
    "update avatars.arrivals set arrived_at = now() - interval '6 minutes' where instance_id = $1",
    [instanceId],
  );

describe("old arrivals", () => {
  test("are removed when every process has seen them; young ones stay", async () => {
    const [old, young] = [await addInstance(database), await addInstance(database)];
    await ledger.noteArrivals([old, young]);
    await age(old);
    await eventually(async () => {
      await removeOldArrivals(database.pool);
      expect(await count(old)).toBe(0);
    });
    expect(await count(young)).toBe(1);
  });

  test("stay as long as a look may still have to tell them", async () => {
    const [blocking, old] = [await addInstance(database), await addInstance(database)];
    const end = await beginToEnqueue(blocking);
    await ledger.noteArrivals([old]);
    await age(old);
    await removeOldArrivals(database.pool);
    expect(await count(old)).toBe(1);
    await end("rollback");
  });
});
