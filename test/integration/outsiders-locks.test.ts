import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { isTransient } from "../../src/store/postgres/database.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { applyLookupsAside } from "../../src/store/saves/apply-lookups-aside.ts";
import { eventually } from "../support/eventually.ts";
import { createGate } from "../support/gate.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  paceSettings,
  present,
  readAllDue,
  readContact,
  readContacts,
  readDatabaseNow,
  release,
  retry,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openOutsider, type Outsider } from "../support/outsider.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";
import { openTestWorkers } from "../support/test-workers.ts";

let database: TestDatabase;
let crm: Outsider;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => database.close());
beforeEach(async () => {
  crm = await openOutsider(database);
});
afterEach(async () => {
  await crm.close();
  // What a test leaves that fails would make others fail, which count all that is put aside.
  await database.pool.query("delete from avatars.lookups_aside");
});

const apply = async () => applyLookupsAside(database.pool, false, isTransient);
/** @param inFlightMs how long a hand-over marks a call in flight */
const ledgerWith = (inFlightMs: number) => createRunLedger(database, { ...paceSettings, inFlightMs });
const ledger = createLazily(() => ledgerWith(90_000));

function createLazily<T>(create: () => T): () => T {
  let created: T | undefined;
  return () => (created ??= create());
}

async function listAside(): Promise<
  { chat_id: string; kind: string | null; in_flight_until: Date | null }[]
> {
  const { rows } = await database.pool.query<{
    chat_id: string;
    kind: string | null;
    in_flight_until: Date | null;
  }>(
    `select c.chat_id, a.record ->> 'kind' as kind, a.in_flight_until
     from avatars.lookups_aside a join avatars.contacts c on c.id = a.contact_id order by c.chat_id`,
  );
  return rows;
}

const listDue = async (instanceId: InstanceId) =>
  (await readAllDue(ledger(), instanceId)).map(({ chatId }) => chatId);

describe("the ledger, while another program holds a contact", () => {
  test("saves the others, and the held one when it is free, without reading it as due in between", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    const { epoch, contacts } = await ask(ledger(), instanceId);
    const [held, free] = contacts.map(({ contactId }) => contactId) as [number, number];
    await crm.enqueue(instanceId, [toChatId(1)]);
    const nowMs = await readDatabaseNow(database.pool);
    const unsaved = await ledger().saveLookups(
      [held, free].map((id) => toRecord(id, epoch, nowMs, present("/a.jpg"))),
    );
    expect(unsaved).toEqual({ setAside: new Set([held]), left: new Set(), imageWanted: new Set() });
    expect((await readContacts(database.pool, instanceId)).map(({ status }) => status)).toEqual([
      "unknown",
      "present",
    ]);
    expect(await apply()).toEqual({ records: 0, refused: [] });

    await crm.query("commit");
    expect(await readContacts(database.pool, instanceId)).toMatchObject([
      { is_due: true },
      { is_due: false },
    ]);
    expect(await listDue(instanceId)).toEqual([]);
    expect(await apply()).toEqual({ records: 1, refused: [] });
    expect(await listAside()).toEqual([]);
    const [first] = await readContacts(database.pool, instanceId);
    expect(first).toMatchObject({
      status: "present",
      version: "/a.jpg",
      due_at: null,
      attempts: 1,
      changes: [">/a.jpg"],
    });
  });

  test("hands a lease over, with the call in flight noted beside the contact, which the next lease leaves alone", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    const asked = await ask(ledger(), instanceId);
    const ids = asked.contacts.map(({ contactId }) => contactId);
    await crm.enqueue(instanceId, [toChatId(1)]);
    await giveBack(ledger(), instanceId, asked, ids);
    await crm.query("rollback");
    expect(await listAside()).toMatchObject([{ chat_id: toChatId(1), kind: null }]);
    expect(await readContacts(database.pool, instanceId)).toMatchObject([
      { is_due: true },
      { is_due: false },
    ]);
    expect((await ask(ledger(), instanceId)).contacts).toEqual([]);
    const nowMs = await readDatabaseNow(database.pool);
    await ledger().saveLookups(ids.map((id) => toRecord(id, asked.epoch, nowMs, release)));
    expect(await listAside()).toEqual([]);
    expect(await listDue(instanceId)).toEqual([toChatId(1), toChatId(2)]);
  });

  test("counts the failure of a call in flight that is noted beside, and none of another lease", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const asked = await ask(ledger(), instanceId);
    const contactId = asked.contacts[0]?.contactId ?? 0;
    await crm.enqueue(instanceId, [toChatId(1)]);
    await giveBack(ledger(), instanceId, asked, [contactId]);
    await crm.query("rollback");
    await ask(ledger(), instanceId);
    const fail = async (epoch: number) =>
      ledger().saveLookups([toRecord(contactId, epoch, await readDatabaseNow(database.pool), retry)]);
    await fail(asked.epoch);
    expect(await readContact(database.pool, instanceId)).toMatchObject({ attempts: 1, is_due: false });
    await fail(asked.epoch);
    expect(await readContact(database.pool, instanceId)).toMatchObject({ attempts: 1 });
  });

  test("does not note a call in flight for longer than it can take", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const asked = await ask(ledger(), instanceId);
    await crm.enqueue(instanceId, [toChatId(1)]);
    await giveBack(
      ledgerWith(1),
      instanceId,
      asked,
      asked.contacts.map(({ contactId }) => contactId),
    );
    await crm.query("rollback");
    expect(await listAside()).toHaveLength(1);
    await eventually(async () => expect(await listDue(instanceId)).toEqual([toChatId(1)]));
    await database.pool.query("update avatars.lookups_aside set in_flight_until = now() - interval '1 hour'");
    await apply();
    expect(await listAside()).toEqual([]);
  });

  test("gives it back later", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const { epoch, contacts } = await ask(ledger(), instanceId);
    const contactId = contacts[0]?.contactId ?? 0;
    await crm.enqueue(instanceId, [toChatId(1)]);
    await ledger().saveLookups([toRecord(contactId, epoch, await readDatabaseNow(database.pool), release)]);
    await crm.query("commit");
    await apply();
    expect(await readContact(database.pool, instanceId)).toMatchObject({
      is_due: true,
      attempts: 0,
      last_error: "instance held",
    });
  });

  test("leaves it its place where a probe would put it off", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    const { epoch, contacts } = await ask(ledger(), instanceId);
    await crm.enqueue(instanceId, [toChatId(1)]);
    for (const { contactId } of contacts) await ledger().putOff({ contactId, epoch }, "held");
    await crm.query("commit");
    const stored = await readContacts(database.pool, instanceId);
    expect(stored).toMatchObject([
      { is_due: true, attempts: 0, last_error: null },
      { is_due: true, attempts: 0, last_error: "held" },
    ]);
    expect(await listDue(instanceId)).toEqual([toChatId(1), toChatId(2)]);
  });

  test("asks the contact again whose record Postgres never takes", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1), toChatId(2)]);
    const { epoch, contacts } = await ask(ledger(), instanceId);
    await crm.enqueue(instanceId, [toChatId(1), toChatId(2)]);
    const nowMs = await readDatabaseNow(database.pool);
    await ledger().saveLookups(
      contacts.map(({ contactId }) => toRecord(contactId, epoch, nowMs, present("/a.jpg"))),
    );
    await crm.query("rollback");
    const bad = contacts[0]?.contactId ?? 0;
    await database.pool.query(
      "update avatars.lookups_aside set record = replace(record::text, 'present', 'nonsense')::json where contact_id = $1",
      [bad],
    );
    const applied = await apply();
    expect(applied).toMatchObject({ records: 1, refused: [{ contactId: bad }] });
    expect(await listDue(instanceId)).toEqual([toChatId(1)]);
  });

  test("forgets what is put aside of a contact that is erased", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const { epoch, contacts } = await ask(ledger(), instanceId);
    const record = toRecord(
      contacts[0]?.contactId ?? 0,
      epoch,
      await readDatabaseNow(database.pool),
      present("/a.jpg"),
    );
    await crm.enqueue(instanceId, [toChatId(1)]);
    await ledger().saveLookups([record]);
    await crm.query("rollback");
    const eraser = await database.pool.connect();
    try {
      await eraser.query("begin");
      await eraser.query("delete from avatars.contacts where id = $1", [record.contactId]);
      expect(await ledger().saveLookups([record])).toEqual({
        setAside: new Set(),
        left: new Set([record.contactId]),
        imageWanted: new Set(),
      });
      await eraser.query("commit");
    } finally {
      eraser.release();
    }
    expect(await ledger().saveLookups([record])).toEqual({
      setAside: new Set(),
      left: new Set(),
      imageWanted: new Set(),
    });
    expect(await listAside()).toEqual([]);
  });
});

const countSaved = async (instanceId: InstanceId) =>
  (await readContacts(database.pool, instanceId)).filter(({ checked_at: at }) => at !== null).length;

test("what arrives while a CRM's transaction stays open is told once, and the CRM's own when it commits", async () => {
  const [one, two] = [await addInstance(database), await addInstance(database)];
  let { horizon } = await ledger().readArrivals(undefined);
  const look = async () => {
    const seen = await ledger().readArrivals(horizon);
    ({ horizon } = seen);
    return seen.arrivals.map(({ instanceId }) => instanceId);
  };
  await crm.enqueue(one, [toChatId(1)]);
  await acceptContacts(database.pool, two, [toChatId(2)]);
  expect(await look()).toEqual([two]);
  expect(await look()).toEqual([]);
  await acceptContacts(database.pool, two, [toChatId(3)]);
  expect(await look()).toEqual([two]);
  await crm.query("commit");
  expect(await look()).toEqual([one]);
  expect(await look()).toEqual([]);
});

describe("workers, while a CRM's transaction holds the contact whose call is in flight", () => {
  test("save all others of all instances, each called once, and the held one after its commit without another call", async () => {
    const [one, two] = [await addInstance(database), await addInstance(database)];
    const x = toChatId(1);
    const others = Array.from({ length: 8 }, (_, n) => toChatId(10 + n));
    const ofTwo = Array.from({ length: 10 }, (_, n) => toChatId(100 + n));
    await acceptContacts(database.pool, one, [x]);
    const answered = createGate();
    const workers = openTestWorkers(database, { instanceIds: [one, two] });
    try {
      workers.held.set(x, answered.opened);
      await eventually(() => expect(workers.calls).toEqual([x]));
      await crm.enqueue(one, [x]);
      answered.open();
      await eventually(async () => expect(await listAside()).toMatchObject([{ chat_id: x, kind: "answer" }]));
      await acceptContacts(database.pool, one, others);
      await acceptContacts(database.pool, two, ofTwo);
      await eventually(async () => expect([await countSaved(one), await countSaved(two)]).toEqual([8, 10]));
      expect(workers.calls.toSorted()).toEqual([x, ...others, ...ofTwo].toSorted());

      await crm.query("commit");
      await eventually(async () => {
        await apply();
        expect(await countSaved(one)).toBe(9);
      });
      expect(workers.calls.filter((chatId) => chatId === x)).toHaveLength(1);
    } finally {
      answered.open();
      await workers.stop();
    }
    expect(await readContacts(database.pool, one)).toMatchObject(
      Array.from({ length: 9 }, () => ({ due_at: null, in_flight_epoch: null })),
    );
  });

  test("call it once although the lease goes from hand to hand, before and after the answer", async () => {
    const instanceId = await addInstance(database);
    const x = toChatId(1);
    await acceptContacts(database.pool, instanceId, [x]);
    const answered = createGate();
    // Another instance always waits: no run keeps its lease only to wait for an answer.
    const workers = openTestWorkers(database, { instanceIds: [instanceId], processes: 2, othersWait: true });
    const seeLeases = async (more: number) => {
      const before = workers.countLeases();
      await eventually(() => expect(workers.countLeases()).toBeGreaterThan(before + more));
    };
    try {
      workers.held.set(x, answered.opened);
      await eventually(() => expect(workers.calls).toEqual([x]));
      await crm.enqueue(instanceId, [x]);
      await seeLeases(4);
      answered.open();
      await eventually(async () => expect(await listAside()).toMatchObject([{ chat_id: x, kind: "answer" }]));
      await crm.query("commit");
      await seeLeases(4);
      await apply();
      expect(await readContact(database.pool, instanceId)).toMatchObject({ status: "absent", due_at: null });
      await seeLeases(4);
      expect(workers.calls).toEqual([x]);
    } finally {
      answered.open();
      await workers.stop();
    }
  });

  test("stop, and leave the answer in the ledger for the next process", async () => {
    const instanceId = await addInstance(database);
    await acceptContacts(database.pool, instanceId, [toChatId(1)]);
    const workers = openTestWorkers(database, { instanceIds: [instanceId] });
    const answered = createGate();
    workers.held.set(toChatId(1), answered.opened);
    await eventually(() => expect(workers.calls).toHaveLength(1));
    await crm.enqueue(instanceId, [toChatId(1)]);
    answered.open();
    await workers.stop();
    expect(await readContact(database.pool, instanceId)).toMatchObject({ checked_at: null });
    await crm.query("commit");
    await apply();
    expect(await readContact(database.pool, instanceId)).toMatchObject({
      status: "absent",
      in_flight_epoch: null,
    });
  });
});
