import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { cancelBatch } from "../../src/store/batches/cancel-batch.ts";
import { openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { createBatchFinisher } from "../../src/store/batches/finish-batches.ts";
import { openTrickles } from "../../src/store/resync/find-releasable-runs.ts";
import { openManualResync } from "../../src/store/resync/open-manual-resync.ts";
import { createBatchRemover } from "../../src/store/retention/remove-old-batches.ts";
import { removeInSteps } from "../../src/store/retention/remove-in-steps.ts";
import { createChangeReader } from "../../src/store/changes/read-changes.ts";
import { beginNights, openNight, prepareNight } from "../../src/store/resync/resync-nights.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { openSourceSync } from "../../src/store/resync/sync-source.ts";
import { migrateLedger } from "../../src/store/postgres/migrate.ts";
import { withClient } from "../../src/store/postgres/with-client.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  paceSettings,
  present,
  readContacts,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openOutsider, type Outsider } from "../support/outsider.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
/** As the product has it, but for waits that a test need not be kept by. */
let impatient: Database;
let crm: Outsider;
let instanceId: InstanceId;

beforeAll(async () => {
  database = await openTestDatabase();
  const deadlines = { connectMs: 10_000, statementMs: 60_000, lockMs: 100 };
  impatient = await openDatabase({ url: database.url, maxConnections: 4, deadlines });
});
afterAll(async () => {
  await impatient.close();
  await database.close();
});
beforeEach(async () => {
  instanceId = await addInstance(database);
  crm = await openOutsider(database);
});
afterEach(async () => crm.close());

/** All that the product has ever taken under a number that can be known. */
const knownNumbers = [
  "6272077465837",
  "6272077465838",
  "6272077465839",
  "6272077465840",
  "7265737901",
  "7265737902",
  "1635148148",
];

describe("a role that takes every advisory lock it knows of", () => {
  beforeEach(async () => {
    for (const number of knownNumbers) await crm.query("select pg_advisory_lock($1)", [number]);
  });

  test("keeps no changed avatar from being saved and read, no night from being opened, and no migration from beginning", async () => {
    const { pool } = impatient;
    await acceptContacts(pool, instanceId, [toChatId(1)]);
    const ledger = createRunLedger(impatient, paceSettings);
    const { epoch, contacts } = await ask(ledger, instanceId);
    const records = contacts.map(({ contactId }) => toRecord(contactId, epoch, 1, present("/a.jpg")));
    await ledger.saveLookups(records);
    expect(await readContacts(pool, instanceId)).toMatchObject([{ version: "/a.jpg" }]);
    const { items } = await createChangeReader(pool)([instanceId], 0, 10);
    expect(items).toHaveLength(1);

    const [lastNightAt, slotAt] = [new Date("2026-11-01"), new Date("2026-11-02")];
    await beginNights(pool, lastNightAt, lastNightAt);
    expect(await openNight(pool, { slotAt, lastNightAt, now: slotAt, endsAt: undefined })).toBe(true);
    expect(await prepareNight(pool, async () => ({ source: undefined, plans: [] }))).toEqual(slotAt);
    await openTrickles(pool, slotAt, 0.3);
    await migrateLedger(pool, { gateMs: 1_000, lockMs: 1_000, tries: 1 });
  });

  test("keeps nothing old from being removed", async () => {
    const batchId = await acceptContacts(impatient.pool, instanceId, []);
    await impatient.pool.query(
      "update avatars.batches set finished_at = now() - interval '9 days' where id = $1",
      [batchId],
    );
    const { removed } = await removeInSteps(impatient.pool, {
      gate: "old batches",
      removeSome: createBatchRemover(86_400_000),
      signal: new AbortController().signal,
    });
    expect(removed).toMatchObject({ batches: 1 });
  });
});

test("no function of the schema takes an advisory lock, and all of them say where they look names up", async () => {
  const { rows } = await database.pool.query<{ name: string }>(
    `select p.proname as name from pg_proc p where p.pronamespace = 'avatars'::regnamespace and p.prosrc ~ 'advisory'`,
  );
  expect(rows).toEqual([]);
  const { rows: triggers } = await database.pool.query<{ config: string[] }>(
    "select proconfig as config from pg_proc where proname = 'record_avatar_change'",
  );
  expect(triggers).toEqual([{ config: ["search_path=pg_catalog, pg_temp"] }]);
});

test("a role that may only enqueue cannot lock a gate", async () => {
  for (const sql of [
    "lock table avatars.change_gate in row exclusive mode",
    "lock table avatars.gates in row exclusive mode",
    "select from avatars.gates for update",
    "select from avatars.lookups_aside",
    "select from avatars.erased_chats",
  ]) {
    await expect(crm.query(`begin; ${sql}; commit`)).rejects.toMatchObject({ code: "42501" });
    await crm.query("rollback");
  }
});

describe("while a CRM's transaction holds a contact", () => {
  test("the nightly source takes all others in, the held one with the next night, and stops none of them", async () => {
    const listed = Array.from({ length: 40 }, (_, n) => ({ chatId: toChatId(n), externalRef: undefined }));
    await acceptContacts(database.pool, instanceId, [toChatId(7)]);
    await crm.enqueue(instanceId, [toChatId(7), toChatId(23)]);
    const sync = async () =>
      withClient(impatient.pool, async (client) => {
        const source = await openSourceSync(client, instanceId, new Date());
        const added = await source.add(listed);
        const gone = await source.stopGone();
        const { rows } = await client.query<{ lock_timeout: string }>("show lock_timeout");
        await source.close();
        return { added, gone, waits: rows[0]?.lock_timeout };
      });
    expect(await sync()).toEqual({ added: 38, gone: 0, waits: "100ms" });
    await crm.query("commit");
    expect(await sync()).toEqual({ added: 0, gone: 0, waits: "100ms" });
    const contacts = await readContacts(database.pool, instanceId);
    const { rows } = await database.pool.query(
      "select from avatars.contacts where instance_id = $1 and is_listed",
      [instanceId],
    );
    expect([contacts.length, rows.length]).toEqual([40, 40]);
  });

  test("a resync by hand marks the others", async () => {
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    await database.pool.query(
      "update avatars.contacts set due_at = null, wanted_at = null, turn = null where instance_id = $1",
      [instanceId],
    );
    await crm.enqueue(instanceId, [toChatId(1)]);
    const filter = { statuses: undefined, kind: undefined, olderThanMs: undefined };
    const opened = await openManualResync(impatient.pool, {
      instanceId,
      filter,
      mostContacts: undefined,
      now: new Date(),
      isInWindow: false,
    });
    expect(opened).toMatchObject({ kind: "manual", contacts: 1 });
  });

  test("cancelled batches of others are finished, and its own one when it is free", async () => {
    const held = await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const others = [];
    for (let n = 2; n < 5; n += 1)
      others.push(await acceptContacts(database.pool, instanceId, [toChatId(n)]));
    await database.pool.query(
      `update avatars.batches set cancelled_at = clock_timestamp() - case when id = $2 then interval '2 min' else interval '1 min' end
       where instance_id = $1`,
      [instanceId, held],
    );
    await crm.enqueue(instanceId, [toChatId(1)]);
    const readFinished = async () => {
      const { rows } = await database.pool.query<{ id: string }>(
        "select id from avatars.batches where instance_id = $1 and finished_at is not null",
        [instanceId],
      );
      return rows.map(({ id }) => id).toSorted();
    };
    const finish = createBatchFinisher(impatient.pool);
    await finish();
    expect(await readFinished()).toEqual(others.toSorted());
    await crm.query("rollback");
    for (let n = 0; n < 3; n += 1) await finish();
    expect(await readFinished()).toEqual([held, ...others].toSorted());
  });

  test("a cancellation is done all the same, and says what it waits for", async () => {
    const held = await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    await crm.enqueue(instanceId, [toChatId(1)]);
    const cancelling = cancelBatch(impatient.pool, held);
    const { rows } = await database.pool.query("select 1");
    expect(rows).toHaveLength(1);
    await crm.query("commit");
    expect(await cancelling).toBe(0);
    const { rows: batches } = await database.pool.query<{ over: boolean }>(
      "select finished_at is not null as over from avatars.batches where id = $1",
      [held],
    );
    expect(batches).toEqual([{ over: true }]);
  });
});
