import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HandOver, HeldLease, SeenLease } from "../../src/domain/ledger/lease.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { setPaused } from "../../src/store/instances/pause-instance.ts";
import { applyLookupsAside } from "../../src/store/saves/apply-lookups-aside.ts";
import { findDueInstances } from "../../src/store/work/find-due-instances.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  giveUp,
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

const hold = { reason: "throttled", baseMs: 60_000, maxMs: 60_000, text: "slow down" } as const;
const chatIds = (count: number) => Array.from({ length: count }, (_, index) => toChatId(index));

/** An instance with so many due contacts. */
async function openInstance(contacts = 1): Promise<InstanceId> {
  const instanceId = await addInstance(database);
  await acceptContacts(database.pool, instanceId, chatIds(contacts));
  return instanceId;
}

const set = async (instanceId: InstanceId, assignments: string) =>
  database.pool.query(`update avatars.instances set ${assignments} where id = $1`, [instanceId]);

/** The row's own columns of a lease. */
async function readRow(instanceId: InstanceId) {
  const { rows } = await database.pool.query<{
    lease_owner: string | null;
    lease_epoch: string;
    leased_until: Date | null;
    turns: string[];
  }>("select lease_owner, lease_epoch, leased_until, turns from avatars.instances where id = $1", [
    instanceId,
  ]);
  return rows[0]!;
}

/** Does `work` while another transaction has locked the rows that `sql` selects. */
async function whileLocked<T>(sql: string, id: string | number, work: () => Promise<T>): Promise<T> {
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    await client.query(`${sql} for update`, [id]);
    return await work();
  } finally {
    await client.query("rollback");
    client.release();
  }
}

const takeKind = async (instanceId: InstanceId, owner: string = randomUUID()) =>
  (await ledger.takeLease(instanceId, owner)).kind;

const toHeld = (instanceId: InstanceId, epoch: number, changes: Partial<HeldLease> = {}): HeldLease => ({
  instanceId,
  epoch,
  calls: 0,
  turns: [0, 0, 0],
  ...changes,
});

async function renew(owner: string, held: HeldLease) {
  const { leases, databaseNowMs } = await ledger.renewLeases(owner, [held]);
  expect(leases).toHaveLength(1);
  expect(databaseNowMs).toBeGreaterThan(0);
  return leases[0]!;
}

const toHandOver = (instanceId: InstanceId, epoch: number, changes: Partial<HandOver> = {}): HandOver => ({
  ...toHeld(instanceId, epoch),
  nextCallInMs: 0,
  recentAgesMs: [],
  inFlight: [],
  ...changes,
});

describe("a lease that is taken", () => {
  test("tells how the instance is called, and counts the leases", async () => {
    const instanceId = await addInstance(database, { requestsPerSecond: 4, maxInFlight: 3 });
    const owner = randomUUID();
    const fromMs = await readDatabaseNow(database.pool);
    const first = await ask(ledger, instanceId, { owner });
    expect(first).toMatchObject({ kind: "taken", epoch: 1, recentCallsMs: [], handedOverAtMs: undefined });
    expect(first.instance).toEqual({
      apiUrl: "http://127.0.0.1:9",
      sealedToken: "sealed",
      requestsPerSecond: 4,
      marginMs: 10,
      maxInFlight: 3,
      probing: false,
      interactiveOnly: false,
      allowedChatIds: undefined,
    });
    expect(first.databaseNowMs).toBeGreaterThanOrEqual(fromMs);
    expect(first.callsFromMs).toBeLessThanOrEqual(first.databaseNowMs);
    const { lease_owner, leased_until } = await readRow(instanceId);
    expect(lease_owner).toBe(owner);
    expect(leased_until?.getTime()).toBeGreaterThan(Math.floor(fromMs));
  });

  test("takes the rate of the settings for an instance that sets none, and derives the calls in flight", async () => {
    const { instance } = await ask(ledger, await addInstance(database));
    expect(instance).toMatchObject({ requestsPerSecond: 10, maxInFlight: undefined });
  });

  test("is busy for any other process, whatever its row says about the time, and changes nothing", async () => {
    const instanceId = await openInstance();
    await ask(ledger, instanceId);
    // Clocks that are set must not give it to two.
    await set(instanceId, "leased_until = now() - interval '1 hour'");
    const before = await readRow(instanceId);
    expect(await takeKind(instanceId)).toBe("busy");
    expect(await readRow(instanceId)).toEqual(before);
  });

  test("by many processes at once is given to one of them", async () => {
    const instanceId = await openInstance();
    const kinds = await Promise.all(Array.from({ length: 12 }, async () => takeKind(instanceId)));
    expect(kinds.toSorted()).toEqual([...Array<string>(11).fill("busy"), "taken"]);
    expect(await readRow(instanceId)).toMatchObject({ lease_epoch: "1" });
  });

  test("may be taken anew by its own process: the one before is over", async () => {
    const instanceId = await openInstance();
    const owner = randomUUID();
    const first = await ask(ledger, instanceId, { owner });
    const second = await ask(ledger, instanceId, { owner });
    expect(second.epoch).toBe(first.epoch + 1);
    expect(await renew(owner, toHeld(instanceId, first.epoch))).toEqual({ instanceId, kind: "lost" });
    expect(await renew(owner, toHeld(instanceId, second.epoch))).toMatchObject({ kind: "renewed" });
  });

  test("waits a minute at most for the slot that was left, where the clock was set back since", async () => {
    const instanceId = await openInstance();
    await set(instanceId, "next_call_at = now() + interval '1 day'");
    const { callsFromMs, databaseNowMs } = await ask(ledger, instanceId);
    expect(callsFromMs).toBeGreaterThan(databaseNowMs + 50_000);
    expect(callsFromMs).toBeLessThanOrEqual(databaseNowMs + 60_000);
  });
});

describe("an instance", () => {
  test("that is not known is gone", async () => {
    const unknown = "999" as InstanceId;
    expect(await takeKind(unknown)).toBe("gone");
    expect(await renew(randomUUID(), toHeld(unknown, 1))).toEqual({ instanceId: unknown, kind: "lost" });
    await ledger.handOver(randomUUID(), toHandOver(unknown, 1));
  });

  test("that is paused, held or waits for the provider is not given out, nor swept", async () => {
    const [paused, held, throttled] = [await openInstance(), await openInstance(), await openInstance()];
    const all = [paused, held, throttled];
    expect(await findDueInstances(database.pool)).toEqual(expect.arrayContaining(all));
    await setPaused(database, paused, true);
    await ledger.holdInstance(held, hold, Date.now());
    await set(throttled, "throttled_until = now() + interval '1 minute'");
    expect(await Promise.all(all.map(async (id) => takeKind(id)))).toEqual(["paused", "held", "throttled"]);
    const due = await findDueInstances(database.pool);
    for (const instanceId of all) {
      expect(due).not.toContain(instanceId);
      expect(await readRow(instanceId)).toMatchObject({ lease_owner: null, lease_epoch: "0" });
    }
    await setPaused(database, paused, false);
    expect(await takeKind(paused)).toBe("taken");
  });

  test("whose hold has run out is given out for probes, until it is well again", async () => {
    const instanceId = await openInstance(3);
    await ledger.holdInstance(instanceId, hold, Date.now());
    await set(instanceId, "held_until = clock_timestamp()");
    expect(await findDueInstances(database.pool)).toContain(instanceId);
    const { owner, epoch, instance } = await ask(ledger, instanceId);
    expect(instance.probing).toBe(true);
    await ledger.endHold(instanceId, toChatId(0), Date.now() + 1_000);
    expect(await renew(owner, toHeld(instanceId, epoch))).toMatchObject({
      kind: "renewed",
      instance: { probing: false },
      refusal: undefined,
    });
  });

  test("is swept only while something is due and no process holds its lease", async () => {
    const instanceId = await addInstance(database);
    const isSwept = async () => (await findDueInstances(database.pool)).includes(instanceId);
    expect(await isSwept()).toBe(false);
    await acceptContacts(database.pool, instanceId, [toChatId(1)], { priority: 2 });
    expect(await isSwept()).toBe(true);
    const lease = await ask(ledger, instanceId);
    expect(await isSwept()).toBe(false);
    await giveBack(ledger, instanceId, lease);
    expect(await isSwept()).toBe(true);
    const [contactId = 0] = lease.contacts.map((contact) => contact.contactId);
    const nowMs = await readDatabaseNow(database.pool);
    await ledger.saveLookups([toRecord(contactId, lease.epoch, nowMs, present("/a.jpg"))]);
    expect(await isSwept()).toBe(false);
  });
});

describe("a renewal", () => {
  test("tells a change of the instance, and why it must not be called any more", async () => {
    const instanceId = await openInstance();
    const { owner, epoch } = await ask(ledger, instanceId);
    const look = async () => {
      const renewal = await renew(owner, toHeld(instanceId, epoch));
      return renewal.kind === "renewed" ? renewal : undefined;
    };
    await set(instanceId, "requests_per_second = 3, max_in_flight = 7, margin_ms = 20, api_url = 'http://x'");
    expect(await look()).toMatchObject({
      instance: { requestsPerSecond: 3, maxInFlight: 7, marginMs: 20, apiUrl: "http://x" },
      refusal: undefined,
    });
    await set(instanceId, "throttled_until = now() + interval '1 minute'");
    expect(await look()).toMatchObject({ refusal: "throttled" });
    await ledger.holdInstance(instanceId, hold, Date.now());
    expect(await look()).toMatchObject({ refusal: "held" });
    await set(instanceId, "allowed_chat_ids = '{1@c.us}'");
    expect(await look()).toMatchObject({ instance: { allowedChatIds: ["1@c.us"], probing: false } });
    await setPaused(database, instanceId, true);
    expect(await look()).toMatchObject({ refusal: "paused" });
  });

  test("changes the mark each time, and keeps how far the turns have come, which never go back", async () => {
    const instanceId = await openInstance();
    const { owner, epoch } = await ask(ledger, instanceId);
    const marks = new Set<string | undefined>();
    for (const turns of [
      [0, 5, 2],
      [1, 3, 7],
      [0, 0, 0],
    ] as const) {
      await renew(owner, toHeld(instanceId, epoch, { turns }));
      marks.add((await ledger.listLeases(randomUUID())).find((seen) => seen.instanceId === instanceId)?.mark);
    }
    expect(marks.size).toBe(3);
    expect(await readRow(instanceId)).toMatchObject({ turns: ["1", "5", "7"] });
  });

  test("does not wait for a row that another transaction has locked: the lease is kept, and not renewed", async () => {
    const [locked, free] = [await openInstance(), await openInstance()];
    const owner = randomUUID();
    const epochs = [await ask(ledger, locked, { owner }), await ask(ledger, free, { owner })];
    const before = await readRow(locked);
    const { leases } = await whileLocked("select from avatars.instances where id = $1", locked, () =>
      ledger.renewLeases(owner, [
        toHeld(locked, epochs[0]!.epoch, { turns: [9, 9, 9] }),
        toHeld(free, epochs[1]!.epoch),
      ]),
    );
    expect(new Map(leases.map(({ instanceId, kind }) => [instanceId, kind]))).toEqual(
      new Map([
        [locked, "kept"],
        [free, "renewed"],
      ]),
    );
    expect(await readRow(locked)).toEqual(before);
    expect(await renew(owner, toHeld(locked, epochs[0]!.epoch))).toMatchObject({ kind: "renewed" });
  });

  test("of a lease that was ended, given back or is of an earlier epoch is lost, also where its row is locked", async () => {
    const [ended, back] = [await openInstance(), await openInstance()];
    const leases = [await ask(ledger, ended), await ask(ledger, back)];
    await endLease(ended);
    await giveBack(ledger, back, leases[1]!);
    for (const [index, instanceId] of [ended, back].entries()) {
      const { owner, epoch } = leases[index]!;
      const lost = { instanceId, kind: "lost" };
      expect(await renew(owner, toHeld(instanceId, epoch))).toEqual(lost);
      const lock = "select from avatars.instances where id = $1";
      expect(await whileLocked(lock, instanceId, () => renew(owner, toHeld(instanceId, epoch)))).toEqual(
        lost,
      );
    }
  });

  test("of no lease is nothing", async () => {
    expect(await ledger.renewLeases(randomUUID(), [])).toMatchObject({ leases: [] });
  });
});

/** The lease of an instance, as other processes see it. */
async function findSeen(instanceId: InstanceId): Promise<SeenLease | undefined> {
  return (await ledger.listLeases(randomUUID())).find((seen) => seen.instanceId === instanceId);
}

/** Ends the lease as another process does that has seen it dead. */
async function endLease(instanceId: InstanceId): Promise<void> {
  expect(await ledger.endDeadLeases([(await findSeen(instanceId))!])).toEqual([instanceId]);
}

describe("a lease that is handed over", () => {
  test("leaves the next slot and the last calls to the next one, to the microsecond", async () => {
    const instanceId = await openInstance();
    const { owner, epoch, databaseNowMs } = await ask(ledger, instanceId);
    const recentAgesMs = [900.125, 1.5, 0];
    const nextCallInMs = 101.125;
    const turns = [0, 4, 0] as const;
    await ledger.handOver(owner, toHandOver(instanceId, epoch, { nextCallInMs, recentAgesMs, turns }));
    expect(await readRow(instanceId)).toMatchObject({
      lease_owner: null,
      leased_until: null,
      turns: ["0", "4", "0"],
    });
    const next = await ask(ledger, instanceId);
    expect(next.epoch).toBe(epoch + 1);
    const handedOverAtMs = next.handedOverAtMs ?? 0;
    for (const [place, ageMs] of recentAgesMs.entries())
      expect(Math.abs(handedOverAtMs - (next.recentCallsMs[place] ?? 0) - ageMs)).toBeLessThan(0.002);
    expect(Math.abs(next.callsFromMs - handedOverAtMs - nextCallInMs)).toBeLessThan(0.002);
    expect(next.handedOverAtMs).toBeGreaterThanOrEqual(databaseNowMs);
    expect(next.handedOverAtMs).toBeLessThanOrEqual(next.databaseNowMs);
  });

  test("leaves alone contacts whose calls are in flight, until they have run out", async () => {
    const instanceId = await openInstance(3);
    const lease = await ask(ledger, instanceId);
    const [first = 0, second = 0, third = 0] = lease.contacts.map(({ contactId }) => contactId);
    const fromMs = await readDatabaseNow(database.pool);
    await giveBack(ledger, instanceId, lease, [second, first]);
    const next = await ask(ledger, instanceId);
    expect(next.contacts.map(({ contactId }) => contactId)).toEqual([third]);
    const [marked] = await readContacts(database.pool, instanceId);
    expect(marked).toMatchObject({ in_flight_epoch: String(lease.epoch), is_due: false });
    const until = marked?.in_flight_until?.getTime() ?? 0;
    expect(until).toBeGreaterThanOrEqual(Math.floor(fromMs + paceSettings.inFlightMs));
    await database.pool.query("update avatars.contacts set in_flight_until = now() where id = $1", [first]);
    const due = await readAllDue(ledger, instanceId);
    expect(due.map(({ contactId }) => contactId)).toEqual([first, third]);
  });

  test.each([
    ["an answer", present("/a.jpg"), { due_at: null, attempts: 1, status: "present" }],
    ["a retry", retry, { attempts: 1, is_due: false, last_error: "no answer" }],
    ["a give-up", giveUp, { due_at: null, attempts: 1, status: "unreachable" }],
  ])("still has %s to a call in flight saved, under the next lease", async (_, decision, expected) => {
    const instanceId = await openInstance();
    const lease = await ask(ledger, instanceId);
    const [contactId = 0] = lease.contacts.map((contact) => contact.contactId);
    await giveBack(ledger, instanceId, lease, [contactId]);
    const next = await ask(ledger, instanceId);
    expect(next.contacts).toEqual([]);
    await ledger.saveLookups([toRecord(contactId, lease.epoch, next.databaseNowMs, decision)]);
    const marks = { in_flight_epoch: null, in_flight_until: null };
    expect(await readContact(database.pool, instanceId)).toMatchObject({ ...expected, ...marks });
  });

  test("marks contacts beside their rows where another transaction has these locked, and waits for none", async () => {
    const instanceId = await openInstance(3);
    const lease = await ask(ledger, instanceId);
    const ids = lease.contacts.map(({ contactId }) => contactId);
    const [locked = 0, free = 0, third = 0] = ids;
    const before = await readContacts(database.pool, instanceId);
    await whileNotKeyLocked(locked, () => giveBack(ledger, instanceId, lease, [locked, free]));
    const after = await readContacts(database.pool, instanceId);
    expect(after[0]).toEqual(before[0]);
    expect(after[1]).toMatchObject({ in_flight_epoch: String(lease.epoch) });
    const next = await ask(ledger, instanceId);
    expect(next.contacts.map(({ contactId }) => contactId)).toEqual([third]);
    // What comes of the call counts all the same, and ends the mark.
    await ledger.saveLookups([
      toRecord(locked, lease.epoch, next.databaseNowMs, { ...retry, dueInMs: 0 } as typeof retry),
    ]);
    const due = await readAllDue(ledger, instanceId);
    expect(due.map(({ contactId, attempts }) => [contactId, attempts])).toEqual([
      [locked, 1],
      [third, 0],
    ]);
  });

  test("frees contacts that were marked beside their rows when their calls have run out", async () => {
    const instanceId = await openInstance();
    const lease = await ask(ledger, instanceId);
    const [contactId = 0] = lease.contacts.map((contact) => contact.contactId);
    await whileNotKeyLocked(contactId, () => giveBack(ledger, instanceId, lease, [contactId]));
    expect(await readAllDue(ledger, instanceId)).toEqual([]);
    await database.pool.query(
      "update avatars.lookups_aside set in_flight_until = now() - interval '2 minutes'",
    );
    expect(await readAllDue(ledger, instanceId)).toHaveLength(1);
    await applyLookupsAside(database.pool, false, () => true);
    const { rows } = await database.pool.query("select from avatars.lookups_aside where contact_id = $1", [
      contactId,
    ]);
    expect(rows).toEqual([]);
  });

  test("marks no contact that rests by now", async () => {
    const instanceId = await openInstance();
    const lease = await ask(ledger, instanceId);
    const [contactId = 0] = lease.contacts.map((contact) => contact.contactId);
    await ledger.saveLookups([
      toRecord(contactId, lease.epoch, lease.databaseNowMs + 1_000, present("/a.jpg")),
    ]);
    await giveBack(ledger, instanceId, lease, [contactId]);
    expect(await readContact(database.pool, instanceId)).toMatchObject({
      due_at: null,
      in_flight_epoch: null,
    });
  });

  test("that was lost before leaves nothing", async () => {
    const instanceId = await openInstance();
    const lost = await ask(ledger, instanceId);
    await endLease(instanceId);
    const { owner } = await ask(ledger, instanceId);
    const [before, contact] = [await readRow(instanceId), await readContact(database.pool, instanceId)];
    expect(before.lease_owner).toBe(owner);
    await giveBack(ledger, instanceId, lost, [contact.id]);
    // Nor does an earlier one of the same process.
    await giveBack(ledger, instanceId, { owner, epoch: lost.epoch }, [contact.id]);
    expect(await readRow(instanceId)).toEqual(before);
    expect(await readContact(database.pool, instanceId)).toEqual(contact);
  });
});

/** As {@link whileLocked}, with the lock that an update of another column of the contact takes. */
async function whileNotKeyLocked<T>(contactId: number, work: () => Promise<T>): Promise<T> {
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    await client.query("select from avatars.contacts where id = $1 for no key update", [contactId]);
    return await work();
  } finally {
    await client.query("rollback");
    client.release();
  }
}

describe("leases of dead processes", () => {
  test("are listed for others, but not for their own", async () => {
    const instanceId = await openInstance();
    const { owner, epoch } = await ask(ledger, instanceId);
    expect(await findSeen(instanceId)).toMatchObject({ instanceId, epoch });
    const own = await ledger.listLeases(owner);
    expect(own.map((seen) => seen.instanceId)).not.toContain(instanceId);
  });

  test("are ended as they were seen: their contacts are due at once, and what comes from them late counts no more", async () => {
    const instanceId = await openInstance(2);
    const dead = await ask(ledger, instanceId);
    const [contactId = 0] = dead.contacts.map((contact) => contact.contactId);
    await endLease(instanceId);
    expect(await findDueInstances(database.pool)).toContain(instanceId);
    const before = await readContacts(database.pool, instanceId);
    await ledger.saveLookups([toRecord(contactId, dead.epoch, dead.databaseNowMs, giveUp)]);
    expect(await readContacts(database.pool, instanceId)).toEqual(before);
    const next = await ask(ledger, instanceId);
    expect(next.epoch).toBeGreaterThan(dead.epoch + 1);
    expect(next.contacts.map((contact) => contact.contactId)).toEqual(
      dead.contacts.map((contact) => contact.contactId),
    );
    // Of what the dead one has sent last nothing is known: it was long ago.
    expect(next).toMatchObject({ recentCallsMs: [], handedOverAtMs: undefined });
  });

  test("are left alone where they were renewed since, or where their row is locked", async () => {
    const instanceId = await openInstance();
    const { owner, epoch } = await ask(ledger, instanceId);
    const seen = (await findSeen(instanceId))!;
    await renew(owner, toHeld(instanceId, epoch));
    expect(await ledger.endDeadLeases([seen])).toEqual([]);
    const again = (await findSeen(instanceId))!;
    const lock = "select from avatars.instances where id = $1";
    expect(await whileLocked(lock, instanceId, () => ledger.endDeadLeases([again]))).toEqual([]);
    expect(await renew(owner, toHeld(instanceId, epoch))).toMatchObject({ kind: "renewed" });
    expect(await ledger.endDeadLeases([])).toEqual([]);
  });

  test("are ended once by many that watch", async () => {
    const instanceId = await openInstance();
    await ask(ledger, instanceId);
    const seen = (await findSeen(instanceId))!;
    const ended = await Promise.all(Array.from({ length: 6 }, async () => ledger.endDeadLeases([seen])));
    expect(ended.flat()).toEqual([instanceId]);
  });
});

test("a look tells how the instance is set now, also where another transaction has its row locked, and whether the lease is lost", async () => {
  const instanceId = await addInstance(database, { requestsPerSecond: 4 });
  const { owner, epoch } = await ask(ledger, instanceId);
  await database.pool.query("update avatars.instances set requests_per_second = 7 where id = $1", [
    instanceId,
  ]);
  const locker = await database.pool.connect();
  try {
    await locker.query("begin");
    await locker.query("select from avatars.instances where id = $1 for update", [instanceId]);
    expect(await ledger.lookAtLease(owner, { instanceId, epoch })).toMatchObject({
      kind: "renewed",
      instance: { requestsPerSecond: 7, probing: false },
      refusal: undefined,
    });
  } finally {
    await locker.query("rollback");
    locker.release();
  }
  expect(await ledger.lookAtLease(owner, { instanceId, epoch: epoch - 1 })).toEqual({
    instanceId,
    kind: "lost",
  });
});
