import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import {
  agedShare,
  expiringUrlStep,
  neverAskedStep,
  requestedStep,
  toIntervalMs,
  toStep,
} from "../../src/domain/refresh/refresh-step.ts";
import { addInstance } from "../support/ledger.ts";
import { addResting, openRun, releaseOnce, type RestingContact } from "../support/resync.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

const dayMs = 86_400_000;
const now = new Date("2026-11-27T02:00:00Z");
const ago = (days: number) => new Date(now.getTime() - days * dayMs);

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

async function readQueue(instanceId: InstanceId): Promise<string[]> {
  const { rows } = await database.pool.query<{ external_ref: string }>(
    "select external_ref from avatars.contacts where instance_id = $1 and due_at is not null order by turn, id",
    [instanceId],
  );
  return rows.map((row) => row.external_ref);
}

async function readRun(runId: number) {
  const { rows } = await database.pool.query<{
    released: number;
    next_release_at: Date;
    ended_by: string | null;
    left_over: number | null;
  }>("select released, next_release_at, ended_by, left_over from avatars.resync_runs where id = $1", [runId]);
  return rows[0]!;
}

const week = toStep(7 * dayMs);
const month = toStep(30 * dayMs);

describe("contacts are released", () => {
  test("in the order of worth: asked for, never asked, expiring URL, then the latest relative to its interval", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, [
      { name: "10 days late of 30", step: month, refreshAt: ago(10) },
      { name: "8 days late of 7", step: week, refreshAt: ago(8) },
      { name: "URL of yesterday", step: expiringUrlStep, refreshAt: ago(1) },
      { name: "not yet due", step: week, refreshAt: ago(-0.1) },
      { name: "never asked", step: neverAskedStep, refreshAt: ago(0) },
      { name: "1 day late of 1", step: toStep(dayMs), refreshAt: ago(1) },
      { name: "URL of last week", step: expiringUrlStep, refreshAt: ago(7) },
      { name: "never due", step: week, refreshAt: null },
      { name: "asked for", step: requestedStep, refreshAt: ago(0) },
      { name: "3 days late of 7", step: week, refreshAt: ago(3) },
    ]);
    const runId = await openRun(database.pool, instanceId, now);
    expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 8, endedBy: undefined });
    expect(await readQueue(instanceId)).toEqual([
      "asked for",
      "never asked",
      "URL of last week",
      "URL of yesterday",
      "8 days late of 7",
      "1 day late of 1",
      "3 days late of 7",
      "10 days late of 30",
    ]);
  });

  test("the same contacts, in the same order, as a sort of all of them would take, whatever they are", async () => {
    const contact = fc.record({
      step: fc.integer({ min: requestedStep, max: 45 }),
      lateMs: fc.integer({ min: -30 * dayMs, max: 60 * dayMs }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(contact, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 30 }),
        async (drawn, limit) => {
          const instanceId = await addInstance(database, { requestsPerSecond: (limit + 0.5) / 12 });
          const contacts = drawn.map(({ step, lateMs }, index) => ({
            name: String(index),
            step,
            refreshAt: new Date(now.getTime() - lateMs),
            lateness: lateMs / (step < 0 ? 1000 : toIntervalMs(step)),
          }));
          await addResting(database.pool, instanceId, contacts);
          const runId = await openRun(database.pool, instanceId, now);
          await releaseOnce(database.pool, runId, now);
          const byWorth = contacts
            .filter(({ refreshAt }) => refreshAt <= now)
            .toSorted(
              (a, b) =>
                Math.min(0, a.step) - Math.min(0, b.step) ||
                b.lateness - a.lateness ||
                Number(a.name) - Number(b.name),
            );
          // A share is for those by age, whatever comes before them.
          const aged = byWorth.filter(({ step }) => step >= 0);
          const kept = new Set(aged.slice(0, Math.floor(limit * agedShare)));
          const others = new Set(byWorth.filter((due) => !kept.has(due)).slice(0, limit - kept.size));
          const expected = byWorth.filter((due) => kept.has(due) || others.has(due));
          const released = await readQueue(instanceId);
          // Where two are as late to within rounding, either may come first.
          const lateness = (name: string) => contacts[Number(name)]?.lateness ?? Number.NaN;
          expect(released).toHaveLength(expected.length);
          for (const [index, name] of released.entries()) {
            expect(lateness(name)).toBeCloseTo(expected[index]?.lateness ?? Number.NaN, 6);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("no more than may be called for in twelve seconds, and again when half of them are used up", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(400));
    const runId = await openRun(database.pool, instanceId, now);
    const at = (seconds: number) => new Date(now.getTime() + seconds * 1000);
    expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 120 });
    expect(await releaseOnce(database.pool, runId, at(1))).toBeUndefined();
    // Nothing was answered: no more are needed.
    expect(await releaseOnce(database.pool, runId, at(6))).toMatchObject({ released: 0 });
    await answerSome(instanceId, 60);
    expect(await releaseOnce(database.pool, runId, at(8))).toMatchObject({ released: expect.any(Number) });
    expect((await readRun(runId)).released).toBeGreaterThan(150);
  });

  test("at the share of the day outside of the window, of an instance that has its own at that", async () => {
    for (const [dayShare, expected] of [
      [null, 36],
      [0.1, 12],
      [0, 0],
    ] as const) {
      const instanceId = await addInstance(database);
      await database.pool.query("update avatars.instances set resync_day_share = $2 where id = $1", [
        instanceId,
        dayShare,
      ]);
      await addResting(database.pool, instanceId, many(200));
      const runId = await openRun(database.pool, instanceId, now, "trickle");
      expect(await releaseOnce(database.pool, runId, now, { isInWindow: false })).toMatchObject({
        released: expected,
      });
    }
  });

  test("none of an instance that is held or paused", async () => {
    for (const state of ["held", "paused"]) {
      const instanceId = await addInstance(database);
      await setState(instanceId, state, ago(-1));
      await addResting(database.pool, instanceId, many(20));
      const runId = await openRun(database.pool, instanceId, now);
      expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 0, endedBy: undefined });
    }
  });

  test("one at a time of an instance whose hold may be put to the test: nothing else would ever end it", async () => {
    const instanceId = await addInstance(database);
    await setState(instanceId, "held", ago(1));
    await addResting(database.pool, instanceId, many(20));
    const runId = await openRun(database.pool, instanceId, now);
    expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 1 });
    expect(await releaseOnce(database.pool, runId, new Date(now.getTime() + 60_000))).toMatchObject({
      released: 0,
    });
  });

  test("however long the calls take that are under way, and the backoff of others", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(400));
    const runId = await openRun(database.pool, instanceId, now);
    await releaseOnce(database.pool, runId, now);
    // The holder of the lease has called all of them.
    await database.pool.query(
      `update avatars.instances set turns[3] = (select max(turn) from avatars.contacts where instance_id = $1) where id = $1`,
      [instanceId],
    );
    expect(await releaseOnce(database.pool, runId, new Date(now.getTime() + 6_000))).toMatchObject({
      released: 60,
    });
    // The lease was handed over in the middle of its calls.
    await database.pool.query(
      `update avatars.contacts set in_flight_epoch = 1, in_flight_until = now() + interval '30 seconds'
       where instance_id = $1 and due_at is not null`,
      [instanceId],
    );
    expect(await releaseOnce(database.pool, runId, new Date(now.getTime() + 12_000))).toMatchObject({
      released: 60,
    });
    await database.pool.query(
      `update avatars.contacts set in_flight_epoch = null, in_flight_until = null, turn = null, due_at = now() + interval '5 minutes'
       where instance_id = $1 and due_at is not null`,
      [instanceId],
    );
    expect(await releaseOnce(database.pool, runId, new Date(now.getTime() + 18_000))).toMatchObject({
      released: 60,
    });
  });

  test("once, by however many processes", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(500));
    const runId = await openRun(database.pool, instanceId, now);
    const releases = await Promise.all(
      Array.from({ length: 8 }, async () => releaseOnce(database.pool, runId, now)),
    );
    expect(releases.filter((release) => release !== undefined)).toHaveLength(1);
    expect(await readQueue(instanceId)).toHaveLength(120);
  });

  test("but for those that somebody has asked for meanwhile", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(3));
    await database.pool.query(
      "update avatars.contacts set due_at = now(), wanted_at = now(), priority = 0 where instance_id = $1 and external_ref = '1'",
      [instanceId],
    );
    const runId = await openRun(database.pool, instanceId, now);
    expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 2 });
  });
});

describe("a run is over", () => {
  test("when nothing is due and all have had their answer", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(2));
    const runId = await openRun(database.pool, instanceId, now);
    const later = (seconds: number) => new Date(now.getTime() + seconds * 1000);
    expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 2, endedBy: undefined });
    expect(await releaseOnce(database.pool, runId, later(15))).toMatchObject({
      released: 0,
      endedBy: undefined,
    });
    await answerSome(instanceId, 2);
    expect(await releaseOnce(database.pool, runId, later(30))).toMatchObject({
      released: 0,
      endedBy: "done",
    });
    expect(await readRun(runId)).toMatchObject({ released: 2, ended_by: "done", left_over: 0 });
  });

  test("not because somebody else has locked all that is due at this moment", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(3));
    const runId = await openRun(database.pool, instanceId, now);
    const other = await database.pool.connect();
    try {
      await other.query("begin");
      await other.query("select from avatars.contacts where instance_id = $1 for update", [instanceId]);
      expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 0, endedBy: undefined });
    } finally {
      // Awaited: a connection that is only dropped keeps its locks until the server has noticed.
      await other.query("rollback");
      other.release();
    }
    expect(await releaseOnce(database.pool, runId, new Date(now.getTime() + 30_000))).toMatchObject({
      released: 3,
    });
  });

  test("with its window, and says how many it leaves over", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(300));
    const runId = await openRun(database.pool, instanceId, now);
    await database.pool.query("update avatars.resync_runs set ends_at = $2 where id = $1", [
      runId,
      new Date(now.getTime() + 10_000),
    ]);
    await releaseOnce(database.pool, runId, now);
    expect(await releaseOnce(database.pool, runId, new Date(now.getTime() + 10_000))).toMatchObject({
      released: 0,
      endedBy: "window-over",
    });
    expect(await readRun(runId)).toMatchObject({ released: 120, left_over: 180 });
  });

  test("when it has asked as many as it was to ask", async () => {
    const instanceId = await addInstance(database);
    await addResting(database.pool, instanceId, many(50));
    const runId = await openRun(database.pool, instanceId, now);
    await database.pool.query("update avatars.resync_runs set most_contacts = 5 where id = $1", [runId]);
    expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 5 });
    await answerSome(instanceId, 5);
    expect(await releaseOnce(database.pool, runId, new Date(now.getTime() + 30_000))).toMatchObject({
      endedBy: "limit",
    });
  });

  test("never, of a trickle: it waits for what is due next", async () => {
    const instanceId = await addInstance(database);
    const runId = await openRun(database.pool, instanceId, now, "trickle");
    expect(await releaseOnce(database.pool, runId, now)).toMatchObject({ released: 0, endedBy: undefined });
    await addResting(database.pool, instanceId, many(1));
    expect(await releaseOnce(database.pool, runId, new Date(now.getTime() + 65_000))).toMatchObject({
      released: 1,
    });
  });
});

async function setState(instanceId: InstanceId, state: string, heldUntil: Date): Promise<void> {
  await database.pool.query("update avatars.instances set state = $2, held_until = $3 where id = $1", [
    instanceId,
    state,
    heldUntil,
  ]);
}

function many(count: number): RestingContact[] {
  return Array.from({ length: count }, (_, index) => ({
    name: String(index),
    step: week,
    refreshAt: ago(1 + index / 1e3),
  }));
}

/** As a save would: they rest, due again in a week. */
async function answerSome(instanceId: InstanceId, count: number): Promise<void> {
  await database.pool.query(
    `update avatars.contacts set due_at = null, turn = null, resync_run_id = null, refresh_at = $3
     where id in (select id from avatars.contacts where instance_id = $1 and due_at is not null order by turn limit $2)`,
    [instanceId, count, ago(-7)],
  );
}
