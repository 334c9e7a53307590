import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { nextNightAt, type ResyncSchedule } from "../../src/domain/resync/resync-schedule.ts";
import { findReleasableRuns, openTrickles, switchOff } from "../../src/store/resync/find-releasable-runs.ts";
import { createRandom } from "../../src/simulator/outcomes/random.ts";
import { openManualResync } from "../../src/store/resync/open-manual-resync.ts";
import {
  beginNights,
  findLastNightAt,
  openNight,
  prepareNight,
} from "../../src/store/resync/resync-nights.ts";
import { createResync, type Resync } from "../../src/worker/resync/resync.ts";
import { addInstance } from "../support/ledger.ts";
import { toResyncSchedule } from "../support/resync-schedule.ts";
import { addResting, openRun, releaseOnce } from "../support/resync.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;

let database: TestDatabase;
let instanceId: InstanceId;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.pool.query("truncate avatars.resync_nights, avatars.resync_runs cascade");
  await database.pool.query("truncate avatars.instances cascade");
  instanceId = await addInstance(database);
});

/** Processes that share a database and its clock, which the test sets. */
function openWorld(schedule: ResyncSchedule | undefined, begin: Date) {
  const world = { now: begin, opened: [] as Date[], prepared: 0 };
  const { pool } = database;
  const start = (): Resync =>
    createResync({
      schedule,
      wakeInstances: async () => undefined,
      events: {
        nightOpened: ({ slotAt }) => void world.opened.push(slotAt),
        nightPrepared: () => void (world.prepared += 1),
        resyncEnded: () => undefined,
        ledgerFailed(_fields, error) {
          throw error;
        },
      },
      ledger: {
        readClock: async () => world.now,
        findLastNightAt: () => findLastNightAt(pool),
        beginNights: (slotAt, now) => beginNights(pool, slotAt, now),
        openNight: (night) => openNight(pool, night),
        prepareNight: () => prepareNight(pool, async () => ({ source: undefined, plans: undefined })),
        openTrickles: (now) => openTrickles(pool, now, 0.3),
        switchOff: (now) => switchOff(pool, now),
        findReleasableRuns: (until) => findReleasableRuns(pool, until),
        release: (runId, now, isInWindow) => releaseOnce(pool, runId, now, { isInWindow }),
      },
    });
  return { world, start };
}

async function readNights(): Promise<{ slot_at: Date; runs: number }[]> {
  const { rows } = await database.pool.query<{ slot_at: Date; runs: number }>(
    `select n.slot_at, count(r.id)::int as runs from avatars.resync_nights n
     left join avatars.resync_runs r on r.night_at = n.slot_at group by 1 order by 1`,
  );
  return rows;
}

const berlin = toResyncSchedule("0 2 * * *", "Europe/Berlin", "02:00-06:00");

describe("a year of nights", () => {
  test.each([
    // The hour of the night comes twice in autumn, and not at all in spring.
    ["Europe/Berlin", "30 2 * * *"],
    ["America/New_York", "0 2 * * *"],
    // By half an hour, and in the other half of the year.
    ["Australia/Lord_Howe", "45 1 * * *"],
  ])(
    "in %s at %s, with two to four processes that come and go: each exactly once",
    async (timeZone, cron) => {
      const schedule = toResyncSchedule(cron, timeZone, "01:00-05:00");
      const draw = createRandom(timeZone.length);
      const begin = new Date("2026-02-01T12:00:00Z");
      const end = begin.getTime() + 366 * dayMs;
      const { world, start } = openWorld(schedule, begin);
      let processes = [start(), start()];
      await Promise.all(processes.map((one) => one.openNight()));
      const baseline = await findLastNightAt(database.pool);
      const looks: Date[] = [];
      while (world.now.getTime() < end) {
        // Mostly every few hours, often a second before or after a night, sometimes not for days.
        const kind = draw();
        const slot = nextNightAt(schedule, world.now).getTime();
        world.now = new Date(
          kind < 0.3
            ? Math.max(world.now.getTime() + 1, slot - 1_000)
            : kind < 0.6
              ? slot + Math.floor(draw() * 3) * 1_000
              : world.now.getTime() + draw() * (kind > 0.98 ? 4 * dayMs : 8 * 60 * minuteMs),
        );
        // A restart forgets all that a process knows.
        if (draw() < 0.3) processes = Array.from({ length: 2 + Math.floor(draw() * 3) }, start);
        looks.push(world.now);
        await Promise.all(processes.map((one) => one.openNight()));
      }
      // All moments of the schedule, and of those that nobody was there to see the last one before somebody looked.
      const slots: Date[] = [];
      for (let at = nextNightAt(schedule, begin); at <= world.now; at = nextNightAt(schedule, at))
        slots.push(at);
      const expected = [
        ...new Set(looks.map((look) => slots.findLast((slot) => slot <= look)?.getTime())),
      ].flatMap((slot) => (slot === undefined ? [] : [new Date(slot)]));
      expect(slots.length).toBeGreaterThanOrEqual(365);
      expect(expected.length).toBeGreaterThan(300);
      expect(world.opened.toSorted((a, b) => a.getTime() - b.getTime())).toEqual(expected);
      expect(await readNights()).toEqual([
        { slot_at: baseline, runs: 0 },
        ...expected.map((slot_at) => ({ slot_at, runs: 1 })),
      ]);
    },
  );
});

describe("a night", () => {
  test("that is to come when the first process starts is opened; the one before is not made up for", async () => {
    const { world, start } = openWorld(berlin, new Date("2026-11-27T01:59:59+01:00"));
    await start().openNight();
    expect(world.opened).toEqual([]);
    world.now = new Date("2026-11-27T02:00:01+01:00");
    await start().openNight();
    await start().openNight();
    expect(world.opened).toEqual([new Date("2026-11-27T02:00:00+01:00")]);
  });

  test("ends with its window; one that is made up for by day goes on until the next", async () => {
    const { world, start } = openWorld(berlin, new Date("2026-11-26T12:00:00+01:00"));
    await start().openNight();
    world.now = new Date("2026-11-27T02:00:01+01:00");
    await start().openNight();
    expect(await readRun()).toMatchObject({ kind: "night", ends_at: new Date("2026-11-27T06:00:00+01:00") });
    world.now = new Date("2026-11-29T10:00:00+01:00");
    await start().openNight();
    expect(await readRun()).toMatchObject({ night_at: new Date("2026-11-29T02:00:00+01:00"), ends_at: null });
    expect(world.opened).toHaveLength(2);
  });

  test("ends what was open before, with what that leaves over", async () => {
    const { world, start } = openWorld(berlin, new Date("2026-11-26T12:00:00+01:00"));
    await start().openNight();
    await addResting(database.pool, instanceId, [
      { name: "x", step: 30, refreshAt: new Date("2026-11-20T00:00:00Z") },
    ]);
    await openRun(database.pool, instanceId, world.now, "trickle");
    world.now = new Date("2026-11-27T02:00:00+01:00");
    await start().openNight();
    const { rows } = await database.pool.query(
      "select kind, ended_by, left_over, ended_at is null as is_open from avatars.resync_runs order by id",
    );
    expect(rows).toEqual([
      { kind: "trickle", ended_by: "next-night", left_over: 1, is_open: false },
      { kind: "night", ended_by: null, left_over: null, is_open: true },
    ]);
  });

  test("begins when it is prepared, by one process only; another one takes over where that dies", async () => {
    const { world, start } = openWorld(berlin, new Date("2026-11-26T12:00:00+01:00"));
    await start().openNight();
    world.now = new Date("2026-11-27T02:00:01+01:00");
    await start().openNight();
    const until = new Date(world.now.getTime() + minuteMs);
    expect(await findReleasableRuns(database.pool, until)).toEqual([]);
    await expect(prepareNight(database.pool, () => Promise.reject(new Error("dies")))).rejects.toThrow(
      "dies",
    );
    let preparing = 0;
    const prepare = async () => {
      preparing += 1;
      return { source: undefined, plans: [{ instanceId, due: 7, planned: 5 }] };
    };
    const done = await Promise.all(Array.from({ length: 4 }, () => prepareNight(database.pool, prepare)));
    expect([preparing, done.filter(Boolean).length]).toEqual([1, 1]);
    expect(await findReleasableRuns(database.pool, until)).toHaveLength(1);
    expect(await readRun()).toMatchObject({ due: 7, planned: 5 });
    expect(await prepareNight(database.pool, prepare)).toBeUndefined();
  });

  test("that opens while somebody has a resync done by hand is not ended by that, and the other way round", async () => {
    for (let round = 0; round < 10; round += 1) {
      const { world, start } = openWorld(berlin, new Date("2026-11-26T12:00:00+01:00"));
      await database.pool.query("truncate avatars.resync_nights, avatars.resync_runs cascade");
      await start().openNight();
      await openRun(database.pool, instanceId, world.now, "trickle");
      world.now = new Date("2026-11-27T02:00:01+01:00");
      const request = {
        instanceId,
        filter: undefined,
        mostContacts: undefined,
        now: world.now,
        isInWindow: true,
      };
      await Promise.all([start().openNight(), openManualResync(database.pool, request)]);
      const { rows } = await database.pool.query(
        "select kind from avatars.resync_runs where ended_at is null or ended_by = 'manual' and kind = 'night'",
      );
      expect(rows).toEqual([{ kind: "night" }]);
    }
  });

  test("that is made up for by day gives way to what is asked for now", async () => {
    const { world, start } = openWorld(berlin, new Date("2026-11-26T12:00:00+01:00"));
    await start().openNight();
    world.now = new Date("2026-11-27T10:00:00+01:00");
    await start().openNight();
    const request = {
      instanceId,
      filter: undefined,
      mostContacts: undefined,
      now: world.now,
      isInWindow: false,
    };
    expect(await openManualResync(database.pool, request)).toMatchObject({ kind: "manual" });
    expect(await readRun()).toMatchObject({ kind: "manual", ended_at: null });
  });

  test("and what is due by day are refreshed, and nothing where the schedule is off", async () => {
    const { start } = openWorld(undefined, new Date("2026-11-27T02:00:01+01:00"));
    const off = start();
    await off.openNight();
    await off.openTrickles();
    expect(await readNights()).toEqual([]);
    // One that was open when nights were switched off is over; what a person has asked for is not.
    await openRun(database.pool, instanceId, new Date("2026-11-27T02:00:00Z"), "trickle");
    await off.openTrickles();
    expect(await readRun()).toMatchObject({ kind: "trickle", ended_by: "switched-off" });
    await openRun(database.pool, instanceId, new Date("2026-11-27T02:00:00Z"), "manual");
    await off.openTrickles();
    expect(await readRun()).toMatchObject({ kind: "manual", ended_at: null });
    await database.pool.query("update avatars.resync_runs set ended_at = now()");
    const { start: startOn } = openWorld(berlin, new Date("2026-11-27T12:00:00+01:00"));
    const on = startOn();
    await on.openNight();
    await Promise.all([on.openTrickles(), startOn().openTrickles()]);
    expect(await readRun()).toMatchObject({ kind: "trickle" });
  });
});

/** The latest. */
async function readRun(): Promise<Record<string, unknown>> {
  const { rows } = await database.pool.query<Record<string, unknown>>(
    "select * from avatars.resync_runs order by id desc limit 1",
  );
  return rows[0]!;
}
