import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import {
  planResync,
  total,
  type CountByCause,
  type PlannedInstance,
  type PlanWindow,
  type RefreshCount,
} from "../../src/domain/resync/plan-resync.ts";
import {
  agedShare,
  expiringUrlStep,
  neverAskedStep,
  refreshCauses,
  requestedStep,
  toIntervalMs,
  toStep,
} from "../../src/domain/refresh/refresh-step.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const now = new Date("2026-11-27T02:00:00Z");
const inMs = (ms: number) => new Date(now.getTime() + ms);
const instanceId = "1101000001" as InstanceId;
const week = toStep(7 * dayMs);

const ten: PlannedInstance = {
  instanceId,
  state: "active",
  requestsPerSecond: 10,
  share: 1,
  dayShare: 0.3,
  backlog: 0,
};
/** Four hours from now on: 144,000 calls at 10 a second. */
const tonight: PlanWindow = { from: now, until: inMs(4 * hourMs) };

function count(step: number, due: number | readonly [number, number, number], oldestAt = now): RefreshCount {
  const [dueNow, dueFrom, dueUntil] = typeof due === "number" ? [due, due, due] : due;
  return { instanceId, step, dueNow, dueFrom, dueUntil, oldestAt };
}

const byCause = (requested: number, neverAsked: number, expiring: number, age: number): CountByCause => ({
  requested,
  "never-asked": neverAsked,
  "expiring-url": expiring,
  age,
});

function plan(
  counts: readonly RefreshCount[],
  instance: Partial<PlannedInstance> = {},
  window = tonight,
  following: Iterable<PlanWindow> = [],
) {
  return planResync({ ...ten, ...instance }, counts, window, following, now);
}

describe("a plan", () => {
  test("of nothing due is empty", () => {
    expect(plan([])).toEqual({
      instanceId,
      state: "active",
      dueNow: byCause(0, 0, 0, 0),
      due: byCause(0, 0, 0, 0),
      calls: 144_000,
      fits: 0,
      finishesAt: undefined,
      leftOver: byCause(0, 0, 0, 0),
      waitsUntil: undefined,
      stretch: 1,
    });
  });

  test("counts what is due now, and asks what is due by the end of the window", () => {
    const planned = plan([count(requestedStep, 1), count(week, [10, 20, 300]), count(week + 9, [0, 0, 60])]);
    expect(planned).toMatchObject({
      dueNow: byCause(1, 0, 0, 10),
      due: byCause(1, 0, 0, 360),
      fits: 361,
      finishesAt: inMs(36_100),
      leftOver: byCause(0, 0, 0, 0),
      waitsUntil: undefined,
    });
  });

  test("leaves over what is worth least, and keeps a quarter of the calls for mere age", () => {
    const counts = [
      count(requestedStep, 1_000),
      count(neverAskedStep, 2_000),
      count(expiringUrlStep, 200_000),
      count(week, 50_000),
    ];
    const planned = plan(counts);
    expect(planned).toMatchObject({ calls: 144_000, fits: 144_000, finishesAt: tonight.until });
    expect(planned.leftOver).toEqual(byCause(0, 0, 200_000 - (108_000 - 3_000), 14_000));
  });

  test("takes others that wait first, at the full rate", () => {
    expect(plan([count(week, 36_000)], { backlog: 36_000 })).toMatchObject({
      calls: 108_000,
      finishesAt: inMs(2 * hourMs),
    });
    expect(plan([count(week, 5)], { backlog: 1_000_000 })).toMatchObject({
      calls: 0,
      fits: 0,
      finishesAt: undefined,
      leftOver: byCause(0, 0, 0, 5),
    });
  });

  test("leaves out what is asked by day until the window begins, after those that others wait for", () => {
    const window = { from: inMs(hourMs), until: inMs(5 * hourMs) };
    // 3 a second for an hour.
    expect(plan([count(week, 30_000)], {}, window).due).toEqual(byCause(0, 0, 0, 30_000 - 10_800));
    expect(plan([count(week, 30_000)], { backlog: 18_000 }, window).due).toEqual(
      byCause(0, 0, 0, 30_000 - 5_400),
    );
    // No more than are due by then.
    expect(plan([count(week, [0, 100, 30_000])], {}, window).due).toEqual(byCause(0, 0, 0, 29_900));
  });

  test("of a paused instance makes no calls, and tells no end", () => {
    const planned = plan([count(week, 10)], { state: "paused" }, tonight, nightly());
    expect(planned).toMatchObject({ calls: 0, fits: 0, finishesAt: undefined, waitsUntil: undefined });
    expect(planned.leftOver).toEqual(byCause(0, 0, 0, 10));
  });

  test("of a held instance is as if it worked again", () => {
    expect(plan([count(week, 10)], { state: "held" })).toMatchObject({ calls: 144_000, fits: 10 });
  });

  test.each([
    ["that is due just now", week, 0, 1],
    ["that is due only later", week, -5 * dayMs, 1],
    ["of 7 days that is 3.5 days late", week, toIntervalMs(week) / 2, 1.5],
    ["whose URL expired a month ago", expiringUrlStep, 30 * dayMs, 1],
    ["that was never asked", neverAskedStep, 30 * dayMs, 1],
  ])("of a contact %s (step %d, late by %d ms) has a stretch of %d", (_, step, lateMs, stretch) => {
    expect(plan([count(step, 1, inMs(-lateMs)), count(week, 1)]).stretch).toBeCloseTo(stretch, 9);
  });
});

function* nightly(firstFromMs = dayMs, lengthMs = 4 * hourMs): Generator<PlanWindow> {
  for (let fromMs = firstFromMs; ; fromMs += dayMs)
    yield { from: inMs(fromMs), until: inMs(fromMs + lengthMs) };
}

const anyCount = fc
  .record({
    step: fc.integer({ min: requestedStep, max: 45 }),
    dueNow: fc.nat(20_000),
    more: fc.nat(20_000),
    evenMore: fc.nat(20_000),
    lateMs: fc.integer({ min: -30 * dayMs, max: 90 * dayMs }),
  })
  .map(({ step, dueNow, more, evenMore, lateMs }) =>
    count(step, [dueNow, dueNow + more, dueNow + more + evenMore], inMs(-lateMs)),
  );
const anyCounts = fc.uniqueArray(anyCount, { selector: ({ step }) => step, maxLength: 12 });
const anyInstance = fc.record({
  requestsPerSecond: fc.double({ min: 0.1, max: 900, noNaN: true }),
  share: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
  dayShare: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
  backlog: fc.oneof(fc.constant(0), fc.nat(100_000)),
  state: fc.constantFrom("active", "held", "paused"),
});
const anyWindow = fc
  .tuple(fc.integer({ min: 0, max: dayMs }), fc.integer({ min: 1, max: dayMs }))
  .map(([fromMs, lengthMs]) => ({ from: inMs(fromMs), until: inMs(fromMs + lengthMs) }));

describe("whatever is due, a plan", () => {
  test("takes or leaves over each that is due, no more than it has calls for, in the order of worth", () => {
    fc.assert(
      fc.property(anyCounts, anyInstance, anyWindow, (counts, instance, window) => {
        const { due, fits, calls, leftOver, finishesAt } = plan(counts, instance, window);
        const all = counts.reduce((sum, { dueUntil }) => sum + dueUntil, 0);
        expect(total(due)).toBeLessThanOrEqual(all);
        expect(fits + total(leftOver)).toBe(total(due));
        expect(fits).toBe(Math.min(calls, total(due)));
        const taken = Object.fromEntries(
          refreshCauses.map((cause) => [cause, due[cause] - leftOver[cause]]),
        ) as CountByCause;
        const kept = Math.floor(calls * agedShare);
        for (const [index, cause] of refreshCauses.entries()) {
          expect(Math.min(due[cause], leftOver[cause], taken[cause])).toBeGreaterThanOrEqual(0);
          if (leftOver[cause] === 0) continue;
          // Then nothing that is worth less is taken, but for the share of those by age.
          for (const less of refreshCauses.slice(index + 1)) {
            expect(taken[less]).toBeLessThanOrEqual(less === "age" ? kept : 0);
          }
        }
        expect(taken.age).toBeGreaterThanOrEqual(Math.min(due.age, kept));
        expect(finishesAt === undefined).toBe(fits === 0);
        expect((finishesAt ?? window.from) >= window.from).toBe(true);
        expect((finishesAt ?? window.from) <= window.until).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("has a stretch of 1 at least, that of the latest by age", () => {
    fc.assert(
      fc.property(anyCounts, (counts) => {
        const { stretch } = plan(counts);
        const each = counts.map((one) => plan([one]).stretch);
        expect(stretch).toBe(Math.max(1, ...each));
      }),
    );
  });

  test("tells the minute in which the last of the rest is asked, as one sees who goes minute by minute", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3_000_000 }),
        fc.double({ min: 0.5, max: 50, noNaN: true }),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 1, noNaN: true })),
        fc.integer({ min: 1, max: 10 * 60 }),
        (contacts, requestsPerSecond, share, dayShare, lengthMinutes) => {
          const windows = () => nightly(dayMs, lengthMinutes * minuteMs);
          const instance = { requestsPerSecond, share, dayShare };
          const window = { from: now, until: inMs(lengthMinutes * minuteMs) };
          const { leftOver, waitsUntil } = plan([count(week, contacts)], instance, window, windows());
          let left = total(leftOver);
          fc.pre(left > 0);
          let minute = lengthMinutes;
          const isNight = () => minute % (24 * 60) < lengthMinutes;
          for (; left > 1e-6 && minute < 60 * 24 * 60 + lengthMinutes; minute += 1) {
            left -= requestsPerSecond * 60 * (isNight() ? share : dayShare);
          }
          // Nobody plans further ahead than 60 windows.
          expect(waitsUntil === undefined).toBe(left > 1e-6);
          if (waitsUntil === undefined) return;
          // To within the ms that a moment is cut to.
          const [from, until] = [inMs((minute - 1) * minuteMs - 1), inMs(minute * minuteMs + 1)];
          expect(waitsUntil >= from && waitsUntil <= until).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});
