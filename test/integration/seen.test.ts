import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { InstanceActivity } from "../../src/domain/views/instance-activity.ts";
import { simulatedInstanceId, type InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { initialMarginMs } from "../../src/domain/pace/refusal-constants.ts";
import {
  findDueInstances,
  findHeldInstances,
  findStalledInstances,
} from "../../src/store/work/find-due-instances.ts";
import { changeInstance } from "../../src/store/instances/change-instance.ts";
import { putInstance } from "../../src/store/instances/instances.ts";
import { setPaused } from "../../src/store/instances/pause-instance.ts";
import { countBacklog, readGauges } from "../../src/store/status/read-gauges.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { readStatus } from "../../src/store/status/read-status.ts";
import { writeActivity } from "../../src/store/status/worker-activity.ts";
import { acceptContacts, addInstance, ask, giveBack, paceSettings, toChatId } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

const deadlineMs = 5_000;
let database: TestDatabase;
let ledger: RunLedger;
let id: InstanceId;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());
beforeEach(async () => {
  id = await addInstance(database);
});

const chats = (count: number) => Array.from({ length: count }, (_, index) => toChatId(index));
const set = async (assignments: string, instanceId = id) =>
  database.pool.query(`update avatars.instances set ${assignments} where id = $1`, [instanceId]);
const setContacts = async (assignments: string, where = "true") =>
  database.pool.query(`update avatars.contacts set ${assignments} where instance_id = $1 and ${where}`, [id]);
/** A process gives the lease back while it asks for all that is due. */
async function handOverAll(): Promise<void> {
  const lease = await ask(ledger, id);
  const inFlight = lease.contacts.map(({ contactId }) => contactId);
  await giveBack(ledger, id, lease, inFlight);
}

const isDue = async () => (await findDueInstances(database.pool)).includes(id);
const isStalled = async () => (await findStalledInstances(database.pool)).includes(id);

async function readOne() {
  const [status] = await readStatus(database.pool, 10, id);
  if (status === undefined) throw new Error("no status");
  return status;
}

async function readGaugesOfOne() {
  const all = await readGauges(database.pool, 10, deadlineMs);
  return all.find(({ instanceId }) => instanceId === id);
}

const toActivity = (changes: Partial<InstanceActivity> = {}): InstanceActivity => ({
  instanceId: id,
  inFlight: 3,
  callsPerSecond: 4,
  recentCalls: 100,
  recentThrottled: 1,
  latencyMs: 200,
  ...changes,
});

const updateInstance = (which: InstanceId, settings: Parameters<typeof changeInstance>[2]) =>
  changeInstance(database, which, settings, () => ({ kind: "go", sealedToken: undefined, renews: false }));

describe("a status", () => {
  test("of an instance that nothing has happened to is empty", async () => {
    expect(await readOne()).toEqual({
      instanceId: id,
      state: "active",
      heldReason: undefined,
      heldSince: undefined,
      heldUntil: undefined,
      requestsPerSecond: undefined,
      callsAllowed: 10,
      slowdown: 1,
      marginMs: initialMarginMs,
      throttledUntil: undefined,
      callsPerDay: undefined,
      callsToday: undefined,
      quietHours: undefined,
      quietInteractive: false,
      timeZone: undefined,
      carePause: undefined,
      workers: 0,
      inFlight: 0,
      callsPerSecond: 0,
      recentCalls: 0,
      throttledShare: undefined,
      latencyMs: undefined,
      contacts: { present: 0, absent: 0, hidden: 0, invalid: 0, unreachable: 0, unknown: 0 },
      due: 0,
      waiting: 0,
      claimed: 0,
      oldestDueAt: undefined,
      etaMs: 0,
      nextCallAt: expect.any(Date) as Date,
      stalled: false,
    });
  });

  test("adds up what living processes report, and nothing of those that are gone", async () => {
    const [one, other, dead] = [randomUUID(), randomUUID(), randomUUID()];
    await writeActivity(database.pool, one, [toActivity()]);
    await writeActivity(database.pool, other, [
      toActivity({ inFlight: 2, callsPerSecond: 5, recentCalls: 300, recentThrottled: 3, latencyMs: 600 }),
    ]);
    await writeActivity(database.pool, dead, [toActivity({ inFlight: 100, callsPerSecond: 100 })]);
    await database.pool.query(
      "update avatars.worker_activity set reported_at = now() - interval '11 seconds' where process_id = $1",
      [dead],
    );
    expect(await readOne()).toMatchObject({
      workers: 2,
      inFlight: 5,
      callsPerSecond: 9,
      recentCalls: 400,
      throttledShare: 0.01,
      latencyMs: 500,
    });
  });

  test("tells the pace as refusals have left it, and when the provider takes the next call", async () => {
    const until = new Date(Date.now() + 60_000);
    await database.pool.query(
      "update avatars.instances set slowdown = 0.5, slowed_at = now(), margin_ms = 18, throttled_until = $2 where id = $1",
      [id, until],
    );
    const status = await readOne();
    expect(status).toMatchObject({ marginMs: 18, throttledUntil: until });
    expect(status.slowdown).toBeCloseTo(0.5, 1);
    expect(status.callsAllowed).toBeCloseTo(5, 0);
    await set("throttled_until = now()");
    expect((await readOne()).throttledUntil).toBeUndefined();
  });

  test("estimates when nobody waits any more from who waits and how fast it goes", async () => {
    await acceptContacts(database.pool, id, chats(100));
    await setContacts("turn = null, due_at = now() + interval '1 minute'", "chat_id < '79000000010'");
    expect((await readOne()).etaMs).toBeUndefined();
    await writeActivity(database.pool, randomUUID(), [toActivity({ callsPerSecond: 5 })]);
    expect(await readOne()).toMatchObject({ due: 90, waiting: 10, etaMs: 20_000 });
    // The slow calls after a hold are soon over.
    await set("ramp_from = clock_timestamp() + interval '1 hour'");
    expect(await readOne()).toMatchObject({ callsAllowed: 1, etaMs: 20_000 });
    await set("state = 'held', held_reason = 'blocked', held_until = now() + interval '1 hour'");
    const held = await readOne();
    expect(held).toMatchObject({ state: "held", heldReason: "blocked", etaMs: undefined });
    expect(held.heldUntil).toBeInstanceOf(Date);
  });

  test("of one instance is the same as among all", async () => {
    await acceptContacts(database.pool, id, chats(3));
    await addInstance(database);
    const all = await readStatus(database.pool, 10);
    expect(all.length).toBeGreaterThan(1);
    expect(all.find(({ instanceId }) => instanceId === id)).toEqual(await readOne());
  });
});

const readReporters = async () => {
  const { rows } = await database.pool.query<{
    process_id: string;
    instance_id: string;
    in_flight: number;
  }>("select process_id, instance_id, in_flight from avatars.worker_activity order by instance_id");
  return rows;
};

describe("what processes report", () => {
  test("replaces what they reported before, and takes back what they say no more", async () => {
    const processId = randomUUID();
    const other = await addInstance(database);
    const ofOurs = async () => (await readReporters()).filter((row) => row.process_id === processId);
    await writeActivity(database.pool, processId, [toActivity(), toActivity({ instanceId: other })]);
    expect(await ofOurs()).toHaveLength(2);
    await writeActivity(database.pool, processId, [toActivity({ inFlight: 7, latencyMs: undefined })]);
    expect(await ofOurs()).toEqual([{ process_id: processId, instance_id: id, in_flight: 7 }]);
    await writeActivity(database.pool, processId, []);
    expect(await ofOurs()).toEqual([]);
  });

  test("clears away what is left of the dead, by several at once", async () => {
    const dead = Array.from({ length: 5 }, () => randomUUID());
    for (const processId of dead) await writeActivity(database.pool, processId, [toActivity()]);
    await database.pool.query(
      "update avatars.worker_activity set reported_at = now() - interval '11 minutes' where process_id = any($1)",
      [dead],
    );
    const living = Array.from({ length: 5 }, () => randomUUID());
    await Promise.all(
      living.map(async (processId) => writeActivity(database.pool, processId, [toActivity()])),
    );
    await writeActivity(database.pool, living[0] ?? "", [toActivity()]);
    const reporters = (await readReporters()).map((row) => row.process_id);
    expect(reporters).toEqual(expect.arrayContaining(living));
    for (const processId of dead) expect(reporters).not.toContain(processId);
  });
});

describe("an instance is found by the sweep", () => {
  test("when it has a contact whose turn has come, or one that comes back from its backoff", async () => {
    expect(await isDue()).toBe(false);
    await acceptContacts(database.pool, id, chats(2));
    expect(await isDue()).toBe(true);
    await setContacts("turn = null, due_at = now() + interval '1 hour'");
    expect(await isDue()).toBe(false);
    await setContacts("due_at = now()", `chat_id = '${toChatId(1)}'`);
    expect(await isDue()).toBe(true);
  });

  test("when no process holds its lease any more, but not while one does, which finds its contacts itself", async () => {
    await acceptContacts(database.pool, id, chats(2));
    const lease = await ask(ledger, id);
    expect(await isDue()).toBe(false);
    await giveBack(ledger, id, lease);
    expect(await isDue()).toBe(true);
  });

  test("when calls that were in flight at a hand-over have run out, but not while they may be answered", async () => {
    await acceptContacts(database.pool, id, chats(2));
    await handOverAll();
    expect(await isDue()).toBe(false);
    await setContacts("in_flight_until = now()");
    expect(await isDue()).toBe(true);
  });

  test.each([0, 1, 2])("whatever the priority of its contacts: %i", async (priority) => {
    await acceptContacts(database.pool, id, chats(1), { priority });
    expect(await isDue()).toBe(true);
  });

  test("unless it is paused, or the provider takes no call yet", async () => {
    await acceptContacts(database.pool, id, chats(1));
    await set("throttled_until = now() + interval '1 minute'");
    expect(await isDue()).toBe(false);
    await set("throttled_until = now()");
    expect(await isDue()).toBe(true);
    await set("state = 'paused'");
    expect(await isDue()).toBe(false);
  });

  test("while it is held only when one of the chats that the hold allows is due", async () => {
    await acceptContacts(database.pool, id, chats(2));
    await set("state = 'held', held_reason = 'quota-exhausted', held_until = now() + interval '1 day'");
    expect(await isDue()).toBe(false);
    const allow = async (chatId: string) =>
      database.pool.query("update avatars.instances set allowed_chat_ids = $2 where id = $1", [id, [chatId]]);
    await allow(toChatId(9));
    expect(await isDue()).toBe(false);
    await allow(toChatId(1));
    expect(await isDue()).toBe(true);
    await setContacts("turn = null, due_at = null, wanted_at = null", `chat_id = '${toChatId(1)}'`);
    expect(await isDue()).toBe(false);
    await set("held_until = now()");
    expect(await isDue()).toBe(true);
  });
});

describe("a health check", () => {
  test("names an instance that nobody has worked on for two minutes, but never the simulator's", async () => {
    await acceptContacts(database.pool, id, chats(1));
    await putInstance(database, { id: simulatedInstanceId, apiUrl: "http://127.0.0.1:9", sealedToken: "x" });
    await acceptContacts(database.pool, simulatedInstanceId, chats(1));
    await database.pool.query(
      "update avatars.instances set next_call_at = now() - interval '3 minutes' where id = any($1)",
      [[id, simulatedInstanceId]],
    );
    await database.pool.query("update avatars.contacts set due_at = now() - interval '3 minutes'");
    expect(await isStalled()).toBe(true);
    expect(await findStalledInstances(database.pool)).not.toContain(simulatedInstanceId);
    const all = await readStatus(database.pool, 10);
    expect(all.find(({ instanceId }) => instanceId === simulatedInstanceId)).toMatchObject({
      stalled: false,
    });
    expect(await readOne()).toMatchObject({ stalled: true });
    await set("next_call_at = now()");
    expect(await isStalled()).toBe(false);
  });

  test("does not name an instance whose lease is renewed, however long ago it was handed over last", async () => {
    await acceptContacts(database.pool, id, chats(1));
    const lease = await ask(ledger, id);
    await set("next_call_at = now() - interval '1 hour'");
    await setContacts("due_at = now() - interval '1 hour'");
    expect(await isStalled()).toBe(false);
    // Its process is gone, and so are all that would end its lease.
    await set("leased_until = now() - interval '3 minutes'");
    expect(await isStalled()).toBe(true);
    await giveBack(ledger, id, lease);
    expect(await isStalled()).toBe(false);
  });

  test("names held instances only while contacts wait for them", async () => {
    await set("state = 'held', held_reason = 'blocked', held_until = now() + interval '1 day'");
    const find = async () =>
      (await findHeldInstances(database.pool)).filter((held) => held.instanceId === id);
    expect(await find()).toEqual([]);
    await acceptContacts(database.pool, id, chats(1));
    expect(await find()).toEqual([{ instanceId: id, reason: "blocked" }]);
  });
});

describe("what the metrics read", () => {
  test("agrees with the status, and leaves out the simulator's instance", async () => {
    await acceptContacts(database.pool, id, chats(20));
    await setContacts("due_at = now() - interval '1 hour'", `chat_id = '${toChatId(5)}'`);
    await setContacts("turn = null, due_at = now() + interval '1 minute'", `chat_id = '${toChatId(6)}'`);
    await writeActivity(database.pool, randomUUID(), [toActivity()]);
    await set("max_in_flight = 7, throttled_until = now() + interval '1 minute'");
    const status = await readOne();
    const gauges = await readGaugesOfOne();
    expect(gauges).toMatchObject({
      state: "active",
      heldReason: undefined,
      requestsPerSecond: 10,
      callsAllowed: status.callsAllowed,
      marginMs: status.marginMs,
      maxInFlight: 7,
      workers: 1,
      callsPerSecond: 4,
      latencyMs: 200,
    });
    expect(gauges?.oldestDueAgeMs).toBeGreaterThanOrEqual(3_600_000);
    expect(gauges?.waitMs).toBeGreaterThan(0);
    const backlogs = await countBacklog(database.pool, deadlineMs);
    expect(backlogs.find(({ instanceId }) => instanceId === id)).toEqual({
      instanceId: id,
      due: status.due + status.claimed,
      waiting: status.waiting,
    });
    const ids = (await readGauges(database.pool, 10, deadlineMs)).map(({ instanceId }) => instanceId);
    expect(ids).not.toContain(simulatedInstanceId);
    expect(backlogs.map(({ instanceId }) => instanceId)).not.toContain(simulatedInstanceId);
  });

  test("does not count contacts in flight among those that wait for a call, and tells the reason of a hold", async () => {
    await acceptContacts(database.pool, id, chats(2));
    await handOverAll();
    expect(await readOne()).toMatchObject({ due: 0, claimed: 2, oldestDueAt: undefined });
    await set("state = 'held', held_reason = 'expired', held_until = now() + interval '1 hour'");
    expect(await readGaugesOfOne()).toMatchObject({
      state: "held",
      heldReason: "expired",
      oldestDueAgeMs: undefined,
    });
  });

  test("gives up at its deadline", async () => {
    const client = await database.pool.connect();
    await client.query("begin; lock table avatars.instances in access exclusive mode");
    await expect(readGauges(database.pool, 10, 50)).rejects.toThrow(/timeout/);
    await client.query("rollback");
    client.release();
    expect(await readGaugesOfOne()).toBeDefined();
  });
});

describe("steering an instance", () => {
  test("tells the state before, and leaves a hold alone when there is no pause to end", async () => {
    expect(await setPaused(database, id, true)).toBe("active");
    expect(await setPaused(database, id, true)).toBe("paused");
    expect(await setPaused(database, id, false)).toBe("paused");
    expect(await setPaused(database, id, false)).toBe("active");
    await set("state = 'held', held_reason = 'blocked', held_until = now() + interval '1 hour'");
    expect(await setPaused(database, id, false)).toBe("held");
    expect(await readOne()).toMatchObject({ state: "held", heldReason: "blocked" });
    expect(await setPaused(database, id, true)).toBe("held");
    expect(await readOne()).toMatchObject({ state: "paused", heldReason: undefined, heldSince: undefined });
    expect(await setPaused(database, "999" as InstanceId, true)).toBeUndefined();
  });

  test("changes what is given and nothing else", async () => {
    await updateInstance(id, { requestsPerSecond: 7, maxInFlight: 50, label: "shop" });
    const update = await updateInstance(id, {
      requestsPerSecond: null,
      apiUrl: "http://127.0.0.1:8",
    });
    const before = { id, label: "shop", maxInFlight: 50, requestsPerSecond: 7, apiUrl: "http://127.0.0.1:9" };
    const after = { ...before, requestsPerSecond: undefined, apiUrl: "http://127.0.0.1:8" };
    expect(update).toMatchObject({ kind: "changed", before, after });
    expect(await updateInstance("999" as InstanceId, { label: "none" })).toEqual({ kind: "unknown" });
  });
});
