import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findDay, findDayEnd, findQuietChange, isQuiet } from "../../src/domain/care/care-clock.ts";
import { findCarePause, findInteractivePause } from "../../src/domain/care/care-pause.ts";
import { beginWalk, walk } from "../../src/domain/care/care-walk.ts";
import {
  formatQuietHours,
  parseCareZone,
  parseQuietHours,
  type CareFacts,
} from "../../src/domain/care/care.ts";
import { drainMs } from "../../src/domain/pace/drain-time.ts";
import { findClockChanges } from "../support/local-clock.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const free: CareFacts = {
  callsPerDay: undefined,
  callsToday: 0,
  quiet: undefined,
  quietInteractive: false,
  timeZone: "Europe/Berlin",
};
const nights = { from: 22 * 60, until: 7 * 60 };

/** Zones whose clocks are changed at night, at midnight, by half an hour, over midnight, or never. */
const zones = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Africa/Cairo",
  "America/Havana",
  "Asia/Beirut",
  "Australia/Lord_Howe",
  "America/Nuuk",
  "Asia/Kolkata",
  "Pacific/Kiritimati",
];
const year = Date.UTC(2026, 0, 1);
const changesOf = new Map(
  zones.map((zone) => [zone, findClockChanges(zone, year, year + 365 * dayMs)] as const),
);

/** A whole minute of the year; every other one is near a change of the clock, where the zone has any. */
const anyPlace = fc.constantFrom(...zones).chain((timeZone) => {
  const changes = changesOf.get(timeZone) ?? [];
  const anywhere = fc.integer({ min: 0, max: 364 }).map((day) => year + day * dayMs);
  const day = changes.length === 0 ? anywhere : fc.oneof(anywhere, fc.constantFrom(...changes));
  return fc
    .tuple(day, fc.integer({ min: -1_440, max: 1_440 }))
    .map(([at, minutes]) => ({ timeZone, atMs: at + minutes * minuteMs }));
});

const anyQuiet = fc
  .tuple(fc.integer({ min: 0, max: 1_439 }), fc.integer({ min: 1, max: 1_440 }))
  .filter(([from, until]) => from !== until && until - from !== 1_440)
  .map(([from, until]) => ({ from, until }));

/** What a clock on the wall shows, by Intl and nothing of ours. */
function createWall(timeZone: string) {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
  return (atMs: number) => {
    const [date = "", time = ""] = format.format(atMs).split(" ");
    const [hours = 0, minutes = 0] = time.split(":").map(Number);
    return { date, minute: hours * 60 + minutes };
  };
}

/** The first minute of [fromMs, untilMs) of which `isSo` is true. One expectation per minute would take the most time. */
function findMinute(fromMs: number, untilMs: number, isSo: (atMs: number) => boolean): number | undefined {
  for (let at = fromMs; at < untilMs; at += minuteMs) if (isSo(at)) return at;
  return undefined;
}

const isIn = ({ from, until }: { from: number; until: number }, minute: number) =>
  from < until ? minute >= from && minute < until : minute >= from || minute < until;

describe("quiet hours", () => {
  test.each([
    ["22:00-07:00", nights],
    ["12:30 - 14:00", { from: 750, until: 840 }],
    ["00:00-06:00", { from: 0, until: 360 }],
    ["20:00-24:00", { from: 1_200, until: 1_440 }],
  ])("of %s are read", (text, value) => {
    expect(parseQuietHours(text)).toEqual({ ok: true, value });
    expect(parseQuietHours(formatQuietHours(value))).toEqual({ ok: true, value });
  });

  test.each(["", "22-7", "22:00", "22:00-22:00", "all-day", "00:00-24:00", "25:00-07:00", "22:60-07:00"])(
    "of %j are refused",
    (text) => {
      expect(parseQuietHours(text).ok).toBe(false);
    },
  );

  test("are what a clock on the wall shows, and change when it says so, to the minute", () => {
    fc.assert(
      fc.property(anyPlace, anyQuiet, ({ timeZone, atMs }, quiet) => {
        const care = { ...free, quiet, timeZone };
        const wall = createWall(timeZone);
        const isNow = isIn(quiet, wall(atMs).minute);
        expect(isQuiet(care, atMs)).toBe(isNow);
        const change = findQuietChange(care, atMs);
        expect(change % minuteMs).toBe(0);
        expect(isIn(quiet, wall(change).minute)).toBe(!isNow);
        expect(findMinute(atMs, change, (at) => isIn(quiet, wall(at).minute) !== isNow)).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });
});

describe("a day", () => {
  test("ends at the first midnight that the clock on the wall shows or passes", () => {
    fc.assert(
      fc.property(anyPlace, ({ timeZone, atMs }) => {
        const care = { ...free, timeZone };
        const wall = createWall(timeZone);
        const end = findDayEnd(care, findDay(care, atMs));
        expect(wall(end).date > wall(atMs).date).toBe(true);
        const today = wall(atMs).date;
        expect(findMinute(atMs, end, (at) => wall(at).date !== today)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    ["2026-03-29", 23],
    ["2026-10-25", 25],
    ["2026-11-29", 24],
  ])("of Berlin, %s, has %i hours", (date, hours) => {
    const from = findDayEnd(free, (Date.parse(date) - dayMs) as ReturnType<typeof findDay>);
    const until = findDayEnd(free, Date.parse(date) as ReturnType<typeof findDay>);
    expect((until - from) / hourMs).toBe(hours);
  });
});

describe("a time zone", () => {
  test.each(["Europe/Berlin", "UTC", "America/Argentina/Ushuaia", "Etc/GMT+2"])("may be %s", (name) => {
    expect(parseCareZone(name)).toEqual({ ok: true, value: name });
  });

  // Postgres reads these in another way than Node.js, or may do so.
  test.each(["CET", "EST", "+02:00", "-05", "GMT+2", "Europe/Nowhere", "", "/"])("is not %j", (name) => {
    expect(parseCareZone(name).ok).toBe(false);
  });
});

/** Goes minute by minute. Returns when the last call was made, within a minute, and what was left at the end. */
function walkByMinutes(care: CareFacts, atMs: number, perMinute: number, calls: number, mostMinutes: number) {
  const wall = createWall(care.timeZone);
  let { callsToday } = care;
  let { date } = wall(atMs);
  let left = calls;
  for (let minute = 0; minute < mostMinutes; minute += 1) {
    const at = atMs + minute * minuteMs;
    const shown = wall(at);
    if (shown.date > date) [date, callsToday] = [shown.date, 0];
    if (care.quiet && isIn(care.quiet, shown.minute)) continue;
    const made = Math.min(perMinute, left, Math.max(0, (care.callsPerDay ?? Infinity) - callsToday));
    callsToday += made;
    left -= made;
    if (left <= 1e-6) return { endsBy: at + minuteMs, left: 0 };
  }
  return { endsBy: undefined, left };
}

const anyCare = fc.record({
  callsPerDay: fc.option(fc.integer({ min: 1, max: 5_000 }), { nil: undefined }),
  used: fc.double({ min: 0, max: 1.2, noNaN: true }),
  quiet: fc.option(anyQuiet, { nil: undefined }),
});

const toCare = (
  { callsPerDay, used, quiet }: { callsPerDay: number | undefined; used: number; quiet: CareFacts["quiet"] },
  timeZone: string,
) => ({
  callsPerDay,
  callsToday: callsPerDay === undefined ? 0 : Math.floor(used * callsPerDay),
  quiet,
  quietInteractive: false,
  timeZone,
});

describe("the time that calls take with care", () => {
  test("is that of one who goes minute by minute, for five days, whatever happens to the clock", () => {
    fc.assert(
      fc.property(
        anyPlace,
        anyCare,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40_000 }),
        ({ timeZone, atMs }, some, perMinute, calls) => {
          const care = toCare(some, timeZone);
          const minutes = 5 * 1_440;
          const seen = walkByMinutes(care, atMs, perMinute, calls, minutes);
          const untilMs = atMs + minutes * minuteMs;
          const told = walk(care, beginWalk(care, atMs), { perMs: perMinute / minuteMs, untilMs, calls });
          expect(told.made).toBeCloseTo(calls - seen.left, 5);
          const endsBy = seen.endsBy ?? untilMs;
          expect(told.walk.atMs).toBeGreaterThan(endsBy - minuteMs - 1);
          expect(told.walk.atMs).toBeLessThan(endsBy + 1);
        },
      ),
      { numRuns: 80 },
    );
  });

  test("is told in no time also where it is years, within a day's calls of the truth", () => {
    const care = { ...free, callsPerDay: 1_000, quiet: nights };
    const atMs = Date.UTC(2026, 10, 29, 12);
    const years = drainMs(
      {
        state: "active",
        backlog: 10_000_000,
        workers: 1,
        requestsPerSecond: 10,
        callsPerSecond: 0,
        maxInFlight: undefined,
        latencyMs: undefined,
        waitMs: 0,
        care,
      },
      atMs,
    );
    expect((years ?? 0) / dayMs).toBeGreaterThan(9_998);
    expect((years ?? 0) / dayMs).toBeLessThan(10_000);
    const endless = { ...care, callsPerDay: 1 };
    const told = walk(endless, beginWalk(endless, atMs), { perMs: 0.01, untilMs: Infinity, calls: 1e9 });
    expect(told.made).toBeLessThan(1e9);
  });

  test("is what was told before where there is no care", () => {
    const told = walk(undefined, beginWalk(undefined, 1_000), { perMs: 0.01, untilMs: Infinity, calls: 500 });
    expect(told).toMatchObject({ made: 500, walk: { atMs: 51_000 } });
  });
});

describe("a pause", () => {
  const evening = new Date("2026-11-29T22:30:00+01:00");
  const noon = new Date("2026-11-29T12:00:00+01:00");

  test.each<[string, Partial<CareFacts>, Date, object | undefined]>([
    ["is none without care", {}, evening, undefined],
    ["is none by day", { quiet: nights }, noon, undefined],
    [
      "ends with the quiet hours",
      { quiet: nights },
      evening,
      { reason: "quiet", until: "2026-11-30T07:00:00+01:00" },
    ],
    ["is none while calls are left", { callsPerDay: 50, callsToday: 49 }, noon, undefined],
    [
      "ends at midnight where they are used up",
      { callsPerDay: 50, callsToday: 50 },
      noon,
      { reason: "capped", until: "2026-11-30T00:00:00+01:00" },
    ],
    [
      "ends with the quiet hours that midnight lies in",
      { callsPerDay: 50, callsToday: 60, quiet: nights },
      noon,
      { reason: "capped", until: "2026-11-30T07:00:00+01:00" },
    ],
  ])("%s", (_name, care, now, expected) => {
    const pause = findCarePause({ ...free, ...care }, now);
    expect(pause && { ...pause, until: pause.until.getTime() }).toEqual(
      expected && { ...expected, until: Date.parse((expected as { until: string }).until) },
    );
  });

  test("of a person's ask for one contact is that of the cap alone, where quiet hours are none for it", () => {
    const care = { ...free, quiet: nights, quietInteractive: true, callsPerDay: 5 };
    expect(findInteractivePause(care, evening)).toBeUndefined();
    expect(findInteractivePause({ ...care, quietInteractive: false }, evening)?.reason).toBe("quiet");
    expect(findInteractivePause({ ...care, callsToday: 5 }, evening)).toEqual({
      reason: "capped",
      until: new Date("2026-11-30T00:00:00+01:00"),
    });
  });
});
