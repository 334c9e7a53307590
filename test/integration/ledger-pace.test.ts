import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Refusal, RunLedger, ThrottledPace } from "../../src/domain/ledger/run-ledger.ts";
import { providerRateAt } from "../../src/domain/pace/provider-pace.ts";
import { firstProbeAfterMs, refusalsForHold } from "../../src/domain/pace/refusal-constants.ts";
import { setPaused } from "../../src/store/instances/pause-instance.ts";
import { slotSpacingMs } from "../../src/domain/pace/pacer.ts";
import type { HeldLease, LeasedInstance, LeaseResult } from "../../src/domain/ledger/lease.ts";
import { openDueRun } from "../support/due-run.ts";
import { toCallsAllowed } from "../../src/store/work/pace-sql.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { acceptContacts, addInstance, paceSettings, readDatabaseNow, toChatId } from "../support/ledger.ts";
import { eventually } from "../support/eventually.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

const allTaken = { taken: 10, refused: 0, isAnswering: true };
const someTaken = { taken: 5, refused: 5, isAnswering: true };
const noneTaken = { taken: 0, refused: 10, isAnswering: false };
const byProvider: Refusal = { by: "provider", retryAfterMs: undefined, before: allTaken };
const byWhatsApp: Refusal = { by: "whatsapp", retryAfterMs: undefined, before: allTaken };
const ago = (ms: number) => `clock_timestamp() - ${ms} * interval '1 ms'`;
const chatIds = (count: number) => Array.from({ length: count }, (_, index) => toChatId(index));

/** An instance with due contacts. */
async function openInstance(contacts = 50, requestsPerSecond = 10): Promise<InstanceId> {
  const instanceId = await addInstance(database, { requestsPerSecond });
  await acceptContacts(database.pool, instanceId, chatIds(contacts));
  return instanceId;
}

async function set(instanceId: InstanceId, assignment: string): Promise<void> {
  await database.pool.query(`update avatars.instances set ${assignment} where id = $1`, [instanceId]);
}

/** A call that is sent now is refused. */
async function refuse(instanceId: InstanceId, refusal: Refusal = byProvider): Promise<ThrottledPace> {
  const pace = await ledger.throttle(instanceId, refusal, (await readDatabaseNow(database.pool)) + 0.1);
  if (pace === undefined) throw new Error("old news");
  return pace;
}

/** The process of all leases in here: it may take each anew. */
const owner = randomUUID();
const take = (instanceId: InstanceId): Promise<LeaseResult> => ledger.takeLease(instanceId, owner);
const takeKind = async (instanceId: InstanceId) => (await take(instanceId)).kind;

/** The instance as a run finds it that begins now. */
async function readInstance(instanceId: InstanceId): Promise<LeasedInstance> {
  const lease = await take(instanceId);
  if (lease.kind !== "taken") throw new Error(`no lease: ${lease.kind}`);
  return lease.instance;
}

/** A run that holds the lease: what each renewal tells it. */
async function openLease(instanceId: InstanceId) {
  const lease = await take(instanceId);
  if (lease.kind !== "taken") throw new Error(`no lease: ${lease.kind}`);
  return async (calls = 0) => {
    const held: HeldLease = { instanceId, epoch: lease.epoch, calls, turns: [0, 0, 0] };
    const [renewal] = (await ledger.renewLeases(owner, [held])).leases;
    if (renewal?.kind !== "renewed") throw new Error(`not renewed: ${renewal?.kind}`);
    return renewal;
  };
}

async function readTurns(instanceId: InstanceId): Promise<number[]> {
  const { rows } = await database.pool.query("select turns from avatars.instances where id = $1", [
    instanceId,
  ]);
  return rows[0].turns.map(Number);
}

/** Holds the instance's row until `release`, which resolves when those who wait for it have gone on. */
async function lockRow(instanceId: InstanceId, change: string) {
  const client = await database.pool.connect();
  await client.query("begin");
  await client.query(`update avatars.instances set ${change} where id = $1`, [instanceId]);
  return async (waiters: number) => {
    await eventually(async () => {
      const { rows } = await database.pool.query(
        "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      expect(rows[0].waiting).toBe(waiters);
    });
    await client.query("commit");
    client.release();
  };
}

describe("a refusal", () => {
  test("that stands alone widens the margin, leaves the rate, and is met by the next renewal and the next lease", async () => {
    const instanceId = await openInstance();
    const before = await readInstance(instanceId);
    const renew = await openLease(instanceId);
    const pace = await refuse(instanceId);
    expect(pace.marginMs).toBeCloseTo(before.marginMs * 1.5, 0);
    expect(pace).toMatchObject({ callsAllowed: 10, until: undefined, mustHold: false });
    for (const instance of [(await renew()).instance, await readInstance(instanceId)]) {
      expect(instance).toMatchObject({ marginMs: pace.marginMs, requestsPerSecond: 10 });
      expect(slotSpacingMs(instance)).toBeCloseTo((1000 + pace.marginMs) / 10, 2);
    }
  });

  test("of a call that was sent before the last change is old news", async () => {
    const instanceId = await openInstance();
    const sentAtMs = await readDatabaseNow(database.pool);
    const { marginMs } = await refuse(instanceId);
    expect(await ledger.throttle(instanceId, byProvider, sentAtMs)).toBeUndefined();
    expect((await readInstance(instanceId)).marginMs).toBe(marginMs);
  });

  test("counts once with all that were sent before it, also where they wait for each other", async () => {
    const instanceId = await openInstance();
    const sentAtMs = (await readDatabaseNow(database.pool)) - 1;
    const release = await lockRow(instanceId, "label = 'busy'");
    const refusals = Array.from({ length: 4 }, () => ledger.throttle(instanceId, byProvider, sentAtMs));
    await release(4);
    const paces = (await Promise.all(refusals)).filter((pace) => pace !== undefined);
    expect(paces).toHaveLength(1);
    expect(paces[0]?.marginMs).toBe(15);
  });

  test("before which a part was taken leaves the instance that part, and then tries more", async () => {
    const instanceId = await openInstance();
    await refuse(instanceId);
    const { callsAllowed, marginMs } = await refuse(instanceId, { ...byProvider, before: someTaken });
    expect(callsAllowed).toBeCloseTo(3.5, 0);
    expect(marginMs).toBe(15);
    const rates: number[] = [];
    for (const ms of [
      1_000,
      firstProbeAfterMs - 500,
      firstProbeAfterMs + 500,
      firstProbeAfterMs + 1_500,
      1e6,
    ]) {
      await set(instanceId, `climb_from = clock_timestamp() - ${ms} * interval '1 ms'`);
      rates.push((await readInstance(instanceId)).requestsPerSecond);
    }
    expect(rates).toEqual([5, 5, 6, 8, 10]);
  });

  test("after which more was tried leaves it at what was taken, and the next try comes later", async () => {
    const instanceId = await openInstance();
    await refuse(instanceId);
    await refuse(instanceId, { ...byProvider, before: someTaken });
    await set(instanceId, `climb_from = ${ago(firstProbeAfterMs + 100)}, throttled_at = ${ago(3_000)}`);
    await refuse(instanceId, { ...byProvider, before: { taken: 5, refused: 0, isAnswering: true } });
    const { rows } = await database.pool.query(
      "select taken_rate, probe_after_ms from avatars.instances where id = $1",
      [instanceId],
    );
    expect(rows).toEqual([{ taken_rate: 5, probe_after_ms: 2 * firstProbeAfterMs }]);
  });

  test("before which nothing was taken halves the pace each time, down to one call a second, and asks for a hold at last", async () => {
    const instanceId = await openInstance();
    const paces: ThrottledPace[] = [];
    for (let count = 0; count < refusalsForHold; count += 1) {
      paces.push(await refuse(instanceId, { ...byProvider, before: count === 0 ? allTaken : noneTaken }));
    }
    const rates = paces.map(({ callsAllowed }) => callsAllowed);
    for (const [index, rate] of [10, 5, 2.5, 1.25, 1, 1].entries()) expect(rates[index]).toBeCloseTo(rate, 0);
    expect(paces.map(({ marginMs }) => marginMs)).toEqual(Array(refusalsForHold).fill(15));
    expect(paces.map(({ mustHold }) => mustHold)).toEqual([...Array(refusalsForHold - 1).fill(false), true]);
    expect((await readInstance(instanceId)).requestsPerSecond).toBeLessThan(2);
  });

  test("long after the last one is the first of a new row", async () => {
    const instanceId = await openInstance();
    for (let count = 1; count < refusalsForHold; count += 1) {
      await refuse(instanceId, { ...byProvider, before: noneTaken });
    }
    await set(instanceId, "throttled_at = throttled_at - interval '1 minute'");
    expect(await refuse(instanceId, { ...byProvider, before: allTaken })).toMatchObject({ mustHold: false });
  });

  test("by WhatsApp slows down at once and leaves the margin: jitter is not its cause", async () => {
    const instanceId = await openInstance();
    const { callsAllowed, marginMs } = await refuse(instanceId, byWhatsApp);
    expect(callsAllowed).toBeCloseTo(7, 0);
    expect(marginMs).toBe(10);
  });

  test("that says how long to wait stops leases and those who hold one until then", async () => {
    const instanceId = await openInstance();
    const renew = await openLease(instanceId);
    const nowMs = await readDatabaseNow(database.pool);
    const { until } = await refuse(instanceId, { ...byProvider, retryAfterMs: 60_000 });
    expect(until?.getTime()).toBeGreaterThanOrEqual(Math.floor(nowMs + 60_000));
    expect((await renew()).refusal).toBe("throttled");
    expect(await takeKind(instanceId)).toBe("throttled");
    await set(instanceId, "throttled_until = clock_timestamp()");
    expect((await renew()).refusal).toBeUndefined();
    expect(await takeKind(instanceId)).toBe("taken");
  });

  test("that is old news is waited for all the same when it says how long, and changes nothing else", async () => {
    const instanceId = await openInstance();
    const sentAtMs = await readDatabaseNow(database.pool);
    const { marginMs } = await refuse(instanceId);
    const wait = { ...byProvider, retryAfterMs: 60_000 };
    expect(await ledger.throttle(instanceId, wait, sentAtMs)).toMatchObject({
      marginMs,
      callsAllowed: 10,
      mustHold: false,
    });
    expect(await takeKind(instanceId)).toBe("throttled");
  });
});

describe("the pace", () => {
  test("is that of the moment when the row is free, for a lease that had to wait for it", async () => {
    const instanceId = await openInstance();
    const release = await lockRow(
      instanceId,
      "slowdown = 0.5, slowed_at = clock_timestamp(), margin_ms = 100",
    );
    const taking = readInstance(instanceId);
    await release(1);
    const instance = await taking;
    expect(instance.requestsPerSecond).toBeLessThan(6);
    expect(instance.marginMs).toBe(100);
    expect((await readInstance(instanceId)).marginMs).toBeGreaterThan(99);
  });

  test("is no error and no standstill after the clock was set back", async () => {
    const instanceId = await openInstance();
    await set(
      instanceId,
      `ramp_from = now() + interval '1 day', slowdown = 0.7, slowed_at = now() + interval '1 day', throttled_at = now() + interval '1 day'`,
    );
    expect((await readInstance(instanceId)).requestsPerSecond).toBe(1);
    await refuse(instanceId);
  });

  test("never falls below one call in ten seconds by refusals", async () => {
    const instanceId = await openInstance(5, 0.3);
    await set(instanceId, "slowdown = 0.1, slowed_at = clock_timestamp()");
    expect((await readInstance(instanceId)).requestsPerSecond).toBe(0.1);
  });

  test("is the same in SQL as in the policy, whatever refusals have left", async () => {
    const positive = fc.double({ min: 0.1, max: 200, noNaN: true });
    const paces = fc.record({
      climbRate: positive,
      takenRate: fc.option(positive, { nil: undefined }),
      probeAfterMs: fc.integer({ min: 0, max: 100_000 }),
    });
    const sql = `select ${toCallsAllowed("i", "500", "to_timestamp(1000 + i.passed_ms::float8 / 1000)")} as rate
      from (select null::real as requests_per_second, 1::real as slowdown, null::timestamptz as slowed_at,
        null::timestamptz as ramp_from, to_timestamp(1000) as climb_from, $1::float8 as climb_rate,
        $2::float8 as taken_rate, $3::integer as probe_after_ms, $4::integer as passed_ms) i`;
    await fc.assert(
      fc.asyncProperty(paces, fc.integer({ min: -1_000, max: 200_000 }), async (pace, passedMs) => {
        const { climbRate, takenRate, probeAfterMs } = pace;
        const { rows } = await database.pool.query(sql, [climbRate, takenRate, probeAfterMs, passedMs]);
        const rate = providerRateAt({ ...pace, climbFromMs: 0 }, passedMs);
        expect(rows[0].rate).toBeCloseTo(Math.min(500, rate), 6);
      }),
    );
  });

  test("of a slowed instance comes back with time, and never beyond the rate", async () => {
    const instanceId = await openInstance();
    await refuse(instanceId, byWhatsApp);
    const readRate = async () => (await readInstance(instanceId)).requestsPerSecond;
    await set(instanceId, "slowed_at = slowed_at - interval '10 seconds'");
    expect(await readRate()).toBeCloseTo(8, 0);
    await set(instanceId, "slowed_at = slowed_at - interval '10 minutes'");
    expect(await readRate()).toBe(10);
  });

  test("after a hold begins at one call a second and doubles each second, up to the rate", async () => {
    const instanceId = await openInstance();
    const rates: number[] = [];
    for (const seconds of [0, 1, 2, 3, 4, 100_000]) {
      await set(instanceId, `ramp_from = clock_timestamp() - ${seconds} * interval '1 second'`);
      rates.push((await readInstance(instanceId)).requestsPerSecond);
    }
    expect(rates).toEqual([1, 2, 4, 8, 10, 10]);
  });

  test("of an instance with less than one call a second has no ramp above it", async () => {
    const instanceId = await openInstance(5, 0.5);
    await set(instanceId, "ramp_from = clock_timestamp() - interval '3 seconds'");
    expect((await readInstance(instanceId)).requestsPerSecond).toBe(0.5);
  });

  test("has a margin that shrinks with the calls that are made, down to its bound, and not by itself", async () => {
    const instanceId = await openInstance();
    await set(instanceId, "margin_ms = 100");
    const renew = await openLease(instanceId);
    expect((await renew(0)).instance.marginMs).toBe(100);
    // 110 s of calls.
    const { marginMs } = (await renew(1_000)).instance;
    expect(marginMs).toBeCloseTo(100 * (1 - 0.05 * (110 / 60)), 0);
    expect((await renew(0)).instance.marginMs).toBe(marginMs);
    for (let minutes = 0; minutes < 200; minutes += 1) await renew(600);
    expect((await renew(0)).instance.marginMs).toBe(5);
  });
});

test("the margin shrinks also with the calls of a lease that are told only when it is handed over", async () => {
  const instanceId = await openInstance();
  await set(instanceId, "margin_ms = 100");
  const lease = await take(instanceId);
  if (lease.kind !== "taken") throw new Error(`no lease: ${lease.kind}`);
  const left = {
    nextCallInMs: 0,
    recentAgesMs: [],
    turns: [0, 0, 0] as const,
    inFlight: [],
  };
  await ledger.handOver(owner, { instanceId, epoch: lease.epoch, calls: 1_000, ...left });
  expect((await readInstance(instanceId)).marginMs).toBeCloseTo(100 * (1 - 0.05 * (110 / 60)), 0);
});

describe("a run", () => {
  test("of an instance that is paused, or has nothing due, has nothing to ask", async () => {
    const instanceId = await openInstance(0);
    expect(await (await openDueRun(ledger, instanceId)).next(10)).toEqual([]);
    await setPaused(database, instanceId, true);
    await expect(openDueRun(ledger, instanceId)).rejects.toThrow("paused");
  });

  test("gives a share to what has been due for longest, whatever its priority", async () => {
    const instanceId = await openInstance(40);
    await acceptContacts(database.pool, instanceId, [toChatId(100)], { priority: 2 });
    await database.pool.query(
      "update avatars.contacts set due_at = due_at - interval '1 hour' where instance_id = $1 and priority = 2",
      [instanceId],
    );
    const strict = await (await openDueRun(ledger, instanceId)).next(11);
    expect(strict.map(({ chatId }) => chatId)).not.toContain(toChatId(100));
    const shared = await (await openDueRun(ledger, instanceId, 0.1)).next(11);
    expect(shared).toHaveLength(11);
    expect(shared.map(({ chatId }) => chatId)).toContain(toChatId(100));
  });

  test("with a share takes no contact twice and nobody else's place", async () => {
    const instanceId = await openInstance(25);
    const run = await openDueRun(ledger, instanceId, 0.5);
    const taken: string[] = [];
    for (const expected of [10, 10, 5]) {
      const contacts = await run.next(10);
      expect(contacts).toHaveLength(expected);
      taken.push(...contacts.map(({ chatId }) => chatId));
    }
    expect(new Set(taken).size).toBe(25);
  });

  test("raises the turns of a priority to the greatest that it took, and leaves those of the others", async () => {
    const instanceId = await openInstance(4);
    await database.pool.query(
      "update avatars.contacts set turn = 100 + id - (select min(id) from avatars.contacts where instance_id = $1) where instance_id = $1",
      [instanceId],
    );
    await (await openDueRun(ledger, instanceId)).next(3);
    expect(await readTurns(instanceId)).toEqual([0, 102, 0]);
  });
});
