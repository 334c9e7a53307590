import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Refusal, RunLedger, ThrottledPace } from "../../src/domain/ledger/run-ledger.ts";
import { refusalsForHold, refusalsForMargin } from "../../src/domain/pace/refusal-constants.ts";
import { setPaused } from "../../src/store/instances/pause-instance.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  acceptContacts,
  addInstance,
  claim,
  paceSettings,
  readContacts,
  readDatabaseNow,
  toChatId,
} from "../support/ledger.ts";
import { eventually } from "../support/eventually.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, paceSettings);
});
afterAll(async () => database.close());

const byProvider: Refusal = { by: "provider", retryAfterMs: undefined };
const byWhatsApp: Refusal = { by: "whatsapp", retryAfterMs: undefined };
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

async function claimKind(instanceId: InstanceId): Promise<string> {
  const request = { instanceId, runId: randomUUID(), laneId: randomUUID(), limit: 10 };
  return (await ledger.claimDueContacts(request)).kind;
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
  test("that stands alone widens the margin, leaves the rate, and is met by the next claim", async () => {
    const instanceId = await openInstance();
    const { instance: before } = await claim(ledger, instanceId, { limit: 5 });
    const pace = await refuse(instanceId);
    expect(pace.marginMs).toBeCloseTo(before.marginMs * 1.5, 0);
    expect(pace).toMatchObject({ callsAllowed: 10, until: undefined, mustHold: false });
    const { instance, slotsFromMs, slotsUntilMs } = await claim(ledger, instanceId, { limit: 5 });
    expect(instance).toMatchObject({ marginMs: pace.marginMs, requestsPerSecond: 10 });
    expect(slotsUntilMs - slotsFromMs).toBeCloseTo((4 * (1000 + pace.marginMs)) / 10, 2);
  });

  test("of a call that was sent before the last change is old news", async () => {
    const instanceId = await openInstance();
    const sentAtMs = await readDatabaseNow(database.pool);
    const { marginMs } = await refuse(instanceId);
    expect(await ledger.throttle(instanceId, byProvider, sentAtMs)).toBeUndefined();
    expect((await claim(ledger, instanceId, { limit: 1 })).instance.marginMs).toBe(marginMs);
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

  test("after the first few in a row slows the instance down, further and further, and asks for a hold at last", async () => {
    const instanceId = await openInstance();
    const paces: ThrottledPace[] = [];
    for (let count = 0; count < refusalsForHold; count += 1) paces.push(await refuse(instanceId));
    const rates = paces.map(({ callsAllowed }) => callsAllowed);
    expect(rates.slice(0, refusalsForMargin)).toEqual(Array(refusalsForMargin).fill(10));
    for (const [index, rate] of rates.slice(refusalsForMargin).entries()) {
      expect(rate).toBeCloseTo(Math.max(1, 10 * 0.7 ** (index + 1)), 0);
    }
    const margins = paces.map(({ marginMs }) => marginMs);
    expect(margins[refusalsForMargin]).toBe(margins.at(-1));
    expect(paces.map(({ mustHold }) => mustHold)).toEqual([...Array(refusalsForHold - 1).fill(false), true]);
    expect((await claim(ledger, instanceId, { limit: 1 })).instance.requestsPerSecond).toBeLessThan(1.1);
  });

  test("long after the last one is the first of a new row", async () => {
    const instanceId = await openInstance();
    for (let count = 0; count < refusalsForMargin; count += 1) await refuse(instanceId);
    await set(instanceId, "throttled_at = throttled_at - interval '1 minute'");
    const margin = (await refuse(instanceId)).marginMs;
    expect((await refuse(instanceId)).marginMs).toBeGreaterThan(margin);
  });

  test("by WhatsApp slows down at once and leaves the margin: jitter is not its cause", async () => {
    const instanceId = await openInstance();
    const { callsAllowed, marginMs } = await refuse(instanceId, byWhatsApp);
    expect(callsAllowed).toBeCloseTo(7, 0);
    expect(marginMs).toBe(10);
  });

  test("that says how long to wait stops claims and reservations until then", async () => {
    const instanceId = await openInstance();
    const nowMs = await readDatabaseNow(database.pool);
    const { until } = await refuse(instanceId, { by: "provider", retryAfterMs: 60_000 });
    expect(until?.getTime()).toBeGreaterThanOrEqual(Math.floor(nowMs + 60_000));
    expect(await claimKind(instanceId)).toBe("throttled");
    expect(await ledger.reserveCalls({ instanceId, laneId: randomUUID(), calls: 1 })).toBeUndefined();
    await set(instanceId, "throttled_until = clock_timestamp()");
    expect(await claimKind(instanceId)).toBe("claimed");
  });

  test("that is old news is waited for all the same when it says how long, and changes nothing else", async () => {
    const instanceId = await openInstance();
    const sentAtMs = await readDatabaseNow(database.pool);
    const { marginMs } = await refuse(instanceId);
    const wait = { by: "provider", retryAfterMs: 60_000 } as const;
    expect(await ledger.throttle(instanceId, wait, sentAtMs)).toMatchObject({
      marginMs,
      callsAllowed: 10,
      mustHold: false,
    });
    expect(await claimKind(instanceId)).toBe("throttled");
  });
});

describe("the pace", () => {
  test("is that of the moment when the row is free, for a claim that had to wait for it", async () => {
    const instanceId = await openInstance();
    const release = await lockRow(
      instanceId,
      "slowdown = 0.5, slowed_at = clock_timestamp(), margin_ms = 100",
    );
    const claiming = claim(ledger, instanceId, { limit: 3 });
    await release(1);
    const { instance } = await claiming;
    expect(instance.requestsPerSecond).toBeLessThan(6);
    expect(instance.marginMs).toBe(100);
    expect((await claim(ledger, instanceId, { limit: 0 })).instance.marginMs).toBeGreaterThan(99);
  });

  test("is no error and no standstill after the clock was set back", async () => {
    const instanceId = await openInstance();
    await set(
      instanceId,
      `ramp_from = now() + interval '1 day', slowdown = 0.7, slowed_at = now() + interval '1 day', throttled_at = now() + interval '1 day'`,
    );
    const { instance } = await claim(ledger, instanceId, { limit: 1 });
    expect(instance.requestsPerSecond).toBe(1);
    await refuse(instanceId);
  });

  test("never falls below one call in ten seconds by refusals", async () => {
    const instanceId = await openInstance(5, 0.3);
    await set(instanceId, "slowdown = 0.1, slowed_at = clock_timestamp()");
    expect((await claim(ledger, instanceId, { limit: 1 })).instance.requestsPerSecond).toBe(0.1);
  });

  test("of a slowed instance comes back with time, and never beyond the rate", async () => {
    const instanceId = await openInstance();
    await refuse(instanceId, byWhatsApp);
    const readRate = async () => (await claim(ledger, instanceId, { limit: 1 })).instance.requestsPerSecond;
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
      rates.push((await claim(ledger, instanceId, { limit: 1 })).instance.requestsPerSecond);
    }
    expect(rates).toEqual([1, 2, 4, 8, 10, 10]);
  });

  test("of an instance with less than one call a second has no ramp above it", async () => {
    const instanceId = await openInstance(5, 0.5);
    await set(instanceId, "ramp_from = clock_timestamp() - interval '3 seconds'");
    expect((await claim(ledger, instanceId, { limit: 1 })).instance.requestsPerSecond).toBe(0.5);
  });

  test("has a margin that shrinks with the calls that are made, down to its bound, and not by itself", async () => {
    const instanceId = await openInstance();
    await set(instanceId, "margin_ms = 100");
    const laneId = randomUUID();
    const readMargin = async () => (await claim(ledger, instanceId, { limit: 0 })).instance.marginMs;
    // 110 s of calls.
    await ledger.reserveCalls({ instanceId, laneId, calls: 1_000 });
    expect(await readMargin()).toBeCloseTo(100 * (1 - 0.05 * (110 / 60)), 0);
    for (let minutes = 0; minutes < 200; minutes += 1) {
      await ledger.reserveCalls({ instanceId, laneId, calls: 600 });
    }
    expect(await readMargin()).toBe(5);
  });
});

describe("a claim", () => {
  test("of no contacts tells how the instance is set, and takes nothing", async () => {
    const instanceId = await openInstance(3);
    const { contacts, instance } = await claim(ledger, instanceId, { limit: 0 });
    expect(contacts).toEqual([]);
    expect(instance.requestsPerSecond).toBe(10);
    expect((await claim(ledger, instanceId)).contacts).toHaveLength(3);
    await setPaused(database, instanceId, true);
    const request = { instanceId, runId: randomUUID(), laneId: randomUUID(), limit: 0 };
    expect((await ledger.claimDueContacts(request)).kind).toBe("paused");
  });

  test("takes no more than goes in its window at the pace of now, but one at least", async () => {
    const instanceId = await openInstance(50);
    const count = async (windowMs: number) => {
      const request = { instanceId, runId: randomUUID(), laneId: randomUUID(), limit: 500, windowMs };
      const result = await ledger.claimDueContacts(request);
      return result.kind === "claimed" ? result.claim.contacts.length : result.kind;
    };
    expect(await count(500)).toBe(5);
    await set(instanceId, "requests_per_second = 3");
    expect(await count(500)).toBe(2);
    await set(instanceId, "ramp_from = clock_timestamp()");
    expect(await count(500)).toBe(1);
    await set(instanceId, "requests_per_second = 0.5, ramp_from = null");
    expect(await count(500)).toBe(1);
    await set(instanceId, "requests_per_second = 100");
    expect(await count(500)).toBe(41);
  });

  test("gives a share to what has been due for longest, whatever its priority", async () => {
    const instanceId = await openInstance(40);
    await acceptContacts(database.pool, instanceId, [toChatId(100)], { priority: 2 });
    await database.pool.query(
      "update avatars.contacts set due_at = due_at - interval '1 hour' where instance_id = $1 and priority = 2",
      [instanceId],
    );
    const strict = await claim(ledger, instanceId, { limit: 10 });
    expect(strict.contacts.map(({ chatId }) => chatId)).not.toContain(toChatId(100));
    const sharing = createRunLedger(database, { ...paceSettings, oldestShare: 0.1 });
    const shared = await claim(sharing, instanceId, { limit: 10 });
    expect(shared.contacts).toHaveLength(10);
    expect(shared.contacts.map(({ chatId }) => chatId)).toContain(toChatId(100));
  });

  test("with a share takes no contact twice and nobody else's place", async () => {
    const instanceId = await openInstance(25);
    const sharing = createRunLedger(database, { ...paceSettings, oldestShare: 0.5 });
    const taken: string[] = [];
    for (const expected of [10, 10, 5]) {
      const { contacts } = await claim(sharing, instanceId, { limit: 10 });
      expect(contacts).toHaveLength(expected);
      taken.push(...contacts.map(({ chatId }) => chatId));
    }
    expect(new Set(taken).size).toBe(25);
  });

  test("during a hold that leaves some chats takes these alone, and not as probes", async () => {
    const instanceId = await openInstance(10);
    const allowed = [toChatId(3), toChatId(7), toChatId(900)];
    await database.pool.query(
      `update avatars.instances set state = 'held', held_reason = 'correspondents-exhausted', held_since = now(),
         held_until = now() + interval '1 day', allowed_chat_ids = $2 where id = $1`,
      [instanceId, allowed],
    );
    const { contacts, instance } = await claim(ledger, instanceId);
    expect(contacts.map(({ chatId }) => chatId).toSorted()).toEqual([toChatId(3), toChatId(7)]);
    expect(instance.probing).toBe(false);
    expect(await claimKind(instanceId)).toBe("held");
    // Which contacts it would be for, it does not know.
    expect(await ledger.reserveCalls({ instanceId, laneId: randomUUID(), calls: 1 })).toBeUndefined();
    const unclaimed = (await readContacts(database.pool, instanceId)).filter(({ claimable }) => claimable);
    expect(unclaimed).toHaveLength(8);
  });

  test("during such a hold leaves the turns where they are: a chat far behind must not take all others' place", async () => {
    const instanceId = await openInstance(50);
    await database.pool.query(
      `update avatars.instances set state = 'held', held_reason = 'correspondents-exhausted', held_since = now(),
         held_until = now() + interval '1 day', allowed_chat_ids = $2 where id = $1`,
      [instanceId, [toChatId(49)]],
    );
    expect((await claim(ledger, instanceId)).contacts).toHaveLength(1);
    expect(await readTurns(instanceId)).toEqual([0, 0, 0]);
  });

  test("raises the turns of a priority to the greatest that it took, and leaves those of the others", async () => {
    const instanceId = await openInstance(4);
    await database.pool.query(
      "update avatars.contacts set turn = 100 + id - (select min(id) from avatars.contacts where instance_id = $1) where instance_id = $1",
      [instanceId],
    );
    await claim(ledger, instanceId, { limit: 3 });
    expect(await readTurns(instanceId)).toEqual([0, 102, 0]);
  });
});
