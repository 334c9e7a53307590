import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { parseCron } from "../../src/domain/resync/cron-pattern.ts";
import { parseWindow } from "../../src/domain/daily-window.ts";
import { findNight, nextNightAt } from "../../src/domain/resync/resync-schedule.ts";
import { isInWindow, nextWindow } from "../../src/domain/resync/resync-window.ts";
import { parseTimeZone } from "../../src/domain/time-zone.ts";
import { findClockChanges, walkMinutes, type LocalMinutes } from "../support/local-clock.ts";
import { toResyncSchedule } from "../support/resync-schedule.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const zones = [
  "UTC",
  "Europe/Berlin",
  "Asia/Kolkata",
  // By 30 minutes.
  "Australia/Lord_Howe",
  // At midnight: skips 00:00 or repeats 23:00.
  "Africa/Cairo",
  "Asia/Beirut",
  "America/Santiago",
  "America/Asuncion",
  // Repeats 00:00.
  "America/Havana",
  // Skips 23:00 since 2024.
  "America/Nuuk",
];
const daily = ["0 2 * * *", "30 2 * * *", "0 0 * * *", "30 23 * * *"];
const from = Date.UTC(2022, 0, 1, 12);
const until = Date.UTC(2025, 0, 1, 12);

const at = (text: string) => new Date(text);
const schedule = (cron = "0 2 * * *", timeZone = "UTC", window = "02:00-06:00") =>
  toResyncSchedule(cron, timeZone, window);
type Schedule = ReturnType<typeof schedule>;

const pad = (count: number) => String(count).padStart(2, "0");

const berlin = (window: string) => schedule("0 2 * * *", "Europe/Berlin", window);

/** Some days around each change of the clock. */
const changes: { zone: string; minutes: LocalMinutes }[] = zones.flatMap((zone) =>
  findClockChanges(zone, from, until).map((day) => ({
    zone,
    minutes: walkMinutes(zone, day - 3 * dayMs, day + 4 * dayMs),
  })),
);

function slotsBetween(schedule: Schedule, fromMs: number, untilMs: number): number[] {
  const slots: number[] = [];
  for (let slot = nextNightAt(schedule, new Date(fromMs)); slot.getTime() < untilMs;) {
    slots.push(slot.getTime());
    slot = nextNightAt(schedule, slot);
  }
  return slots;
}

function toLocalDate(zone: string): (atMs: number) => string {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short" });
  return (atMs) => format.format(atMs);
}

/** All that a worker opens that looks at `polls`, and keeps nothing but the last night. */
function openNights(toSchedule: (now: number) => Schedule, polls: readonly number[], lastNightAt: number) {
  const opened: { night: number; at: number }[] = [];
  let last = lastNightAt;
  for (const now of polls) {
    const night = findNight(toSchedule(now), new Date(last), new Date(now))?.getTime();
    if (night === undefined) continue;
    opened.push({ night, at: now });
    last = night;
  }
  return opened;
}

describe("a daily pattern", () => {
  test.each(zones)("has one slot on each local date of %s for three years", (zone) => {
    const toDate = toLocalDate(zone);
    const days = Array.from({ length: (until - from) / dayMs - 1 }, (_, day) =>
      toDate(from + (day + 1) * dayMs),
    );
    for (const pattern of daily) {
      const dates = slotsBetween(schedule(pattern, zone), from, until).map(toDate);
      expect(new Set(dates).size, pattern).toBe(dates.length);
      expect(dates, pattern).toEqual(expect.arrayContaining(days));
    }
  });

  test("opens each slot once, whenever it is looked at, and the latest one after an outage", () => {
    const gap = fc.oneof(
      { weight: 14, arbitrary: fc.integer({ min: 1, max: 20 * hourMs }) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 2 * minuteMs }) },
      { weight: 1, arbitrary: fc.integer({ min: dayMs, max: 9 * dayMs }) },
    );
    const gaps = fc.array(gap, { minLength: 200, maxLength: 300, size: "max" });
    fc.assert(
      fc.property(fc.constantFrom(...zones), fc.constantFrom(...daily), gaps, (zone, pattern, gaps) => {
        const polls: number[] = [];
        for (let now = from; now < until;) {
          now += gaps[polls.length % gaps.length] ?? dayMs;
          polls.push(now);
        }
        const slots = slotsBetween(schedule(pattern, zone), from - dayMs, until + 10 * dayMs);
        const expected = new Map<number, number>();
        let index = 0;
        for (const now of polls) {
          while ((slots[index + 1] ?? Infinity) <= now) index += 1;
          const slot = slots[index] ?? 0;
          if (!expected.has(slot)) expected.set(slot, now);
        }
        // Restarts now and then: nothing but the last night is kept.
        let running = schedule(pattern, zone);
        const restart = (now: number) => (now % 50 === 0 ? (running = schedule(pattern, zone)) : running);
        const opened = openNights(restart, polls, from - 2 * dayMs);
        expect(opened).toEqual([...expected].map(([night, at]) => ({ night, at })));
      }),
      { numRuns: 6 },
    );
  });

  test("that is missed for days makes one night, the latest", () => {
    const berlin = schedule("0 2 * * *", "Europe/Berlin");
    const now = at("2024-07-10T11:00:00Z");
    const night = findNight(berlin, at("2024-07-03T00:00:00Z"), now);
    expect(night).toEqual(at("2024-07-10T00:00:00Z"));
    expect(findNight(berlin, night ?? now, now)).toBeUndefined();
  });

  test.each([
    ["Europe/Berlin", "30 2 * * *", "2024-03-31", "2024-03-31T01:00:00Z", "is skipped"],
    ["Europe/Berlin", "30 2 * * *", "2024-10-27", "2024-10-27T00:30:00Z", "comes twice"],
    ["Australia/Lord_Howe", "15 2 * * *", "2024-10-06", "2024-10-05T15:30:00Z", "is skipped"],
    ["Australia/Lord_Howe", "45 1 * * *", "2024-04-07", "2024-04-06T14:45:00Z", "comes twice"],
    ["Africa/Cairo", "0 0 * * *", "2024-04-26", "2024-04-25T22:00:00Z", "is skipped"],
    ["Africa/Cairo", "30 23 * * *", "2024-10-31", "2024-10-31T20:30:00Z", "comes twice"],
    ["America/Asuncion", "0 0 * * *", "2022-10-02", "2022-10-02T04:00:00Z", "is skipped"],
    ["America/Havana", "0 0 * * *", "2024-11-03", "2024-11-03T04:00:00Z", "comes twice"],
    [
      "America/Nuuk",
      "30 23 * * *",
      "2024-03-30",
      "2024-03-31T00:59:00Z",
      "is skipped with the rest of its date",
    ],
  ])("in %s, %s on %s is at %s, where it %s", (zone, pattern, date, slot) => {
    const slots = slotsBetween(
      schedule(pattern, zone),
      Date.parse(slot) - 2 * dayMs,
      Date.parse(slot) + 2 * dayMs,
    );
    const toDate = toLocalDate(zone);
    expect(slots.filter((other) => toDate(other) === date)).toEqual([Date.parse(slot)]);
  });
});

/** Of each time on each date the first minute that shows it or a later one, or else the last one of the date. */
function walkSlots(
  { dates, findFirst, showsAt }: LocalMinutes,
  hours: number[],
  minutes: number[],
): number[] {
  const slots = dates.flatMap((date) =>
    hours.flatMap((hour) =>
      minutes.map((minute) => {
        const first = findFirst(`${date} ${pad(hour)}:${pad(minute)}`);
        return showsAt(first).startsWith(date) ? first : first - minuteMs;
      }),
    ),
  );
  return [...new Set(slots)].sort((a, b) => a - b);
}

describe("any pattern", () => {
  const minutes = fc.subarray([0, 10, 20, 30, 45], { minLength: 1, maxLength: 2 });
  const hours = fc.subarray([0, 1, 2, 3, 4, 22, 23], { minLength: 1, maxLength: 3 });

  test("has the slots that a walk by minutes finds around each change of the clock, and opens each once", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...changes),
        hours,
        minutes,
        ({ zone, minutes: walked }, hours, minutes) => {
          const lists = schedule(`${minutes.join(",")} ${hours.join(",")} * * *`, zone);
          const slots = walkSlots(walked, hours, minutes);
          const [first = 0, last = 0] = [slots[0], slots.at(-1)];
          expect(slotsBetween(lists, first - 1, last + 1)).toEqual(slots);
          const polls = slots.flatMap((slot) => [slot - 1, slot]).slice(1);
          const opened = openNights(() => lists, polls, first - 2 * dayMs);
          expect(opened).toEqual(slots.map((slot) => ({ night: slot, at: slot })));
        },
      ),
      { numRuns: 100 },
    );
  });

  test("of an hour makes a night for each hour that the clock shows, and one for two that meet", () => {
    const berlin = schedule("0 * * * *", "Europe/Berlin");
    expect(slotsBetween(berlin, Date.parse("2024-03-30T23:30Z"), Date.parse("2024-03-31T03:00Z"))).toEqual(
      ["2024-03-31T00:00Z", "2024-03-31T01:00Z", "2024-03-31T02:00Z"].map(Date.parse),
    );
    expect(slotsBetween(berlin, Date.parse("2024-10-26T23:30Z"), Date.parse("2024-10-27T03:00Z"))).toEqual(
      ["2024-10-27T00:00Z", "2024-10-27T02:00Z"].map(Date.parse),
    );
  });

  test("may fire on weekdays, on some days of a month, or once in years", () => {
    const now = at("2024-03-01T12:00:00Z");
    expect(nextNightAt(schedule("0 2 * * MON-FRI"), now)).toEqual(at("2024-03-04T02:00:00Z"));
    expect(nextNightAt(schedule("0 2 1,15 * *"), now)).toEqual(at("2024-03-15T02:00:00Z"));
    const leap = schedule("0 2 29 2 *");
    expect(nextNightAt(leap, now)).toEqual(at("2028-02-29T02:00:00Z"));
    expect(findNight(leap, at("2020-02-29T02:00:00Z"), now)).toEqual(at("2024-02-29T02:00:00Z"));
    expect(nextNightAt(schedule("@daily"), now)).toEqual(at("2024-03-02T00:00:00Z"));
  });
});

describe("a deployment", () => {
  const last = at("2024-07-09T02:00:00Z");

  test.each(["2024-07-10T01:59:59Z", "2024-07-10T02:00:01Z"])(
    "at %s neither loses nor doubles a night",
    (now) => {
      const polls = [0, 1, 2, 3600, 40_000].map((seconds) => Date.parse(now) + seconds * 1000);
      const opened = openNights(() => schedule(), polls, last.getTime());
      expect(opened.map(({ night }) => night)).toEqual([Date.parse("2024-07-10T02:00:00Z")]);
    },
  );

  test("that is the first leaves out a slot that comes before half a pause is over", () => {
    expect(findNight(schedule(), at("2024-07-10T01:59:59Z"), at("2024-07-10T02:00:00Z"))).toBeUndefined();
    expect(findNight(schedule(), at("2024-07-10T02:00:01Z"), at("2024-07-10T02:00:01Z"))).toBeUndefined();
    expect(findNight(schedule(), at("2024-07-10T01:59:59Z"), at("2024-07-11T02:00:00Z"))).toEqual(
      at("2024-07-11T02:00:00Z"),
    );
    expect(findNight(schedule(), new Date(0), at("2024-07-10T02:00:01Z"))).toEqual(
      at("2024-07-10T02:00:00Z"),
    );
  });

  test("that moves 02:00 to 03:00 at noon makes no second night", () => {
    const changedAt = Date.parse("2024-07-09T12:00:00Z");
    const polls = Array.from({ length: 72 * 6 }, (_, index) => last.getTime() + index * 10 * minuteMs);
    const opened = openNights(
      (now) => schedule(now < changedAt ? "0 2 * * *" : "0 3 * * *"),
      polls,
      last.getTime(),
    );
    expect(opened.map(({ night }) => new Date(night).toISOString())).toEqual([
      "2024-07-10T03:00:00.000Z",
      "2024-07-11T03:00:00.000Z",
    ]);
  });

  test("that changes a daily pattern or the zone leaves half a day to a day and a half between two nights", () => {
    const time = fc.tuple(fc.nat(59), fc.nat(23)).map(([minute, hour]) => `${minute} ${hour} * * *`);
    const zone = fc.constantFrom(...zones);
    fc.assert(
      fc.property(
        time,
        zone,
        time,
        zone,
        fc.nat(365),
        fc.nat(dayMs),
        (before, zone, after, other, day, ms) => {
          const start = from + day * dayMs;
          const changedAt = start + 2 * dayMs + ms;
          const polls = Array.from({ length: 5 * 48 }, (_, index) => start + index * 30 * minuteMs);
          const schedules = [schedule(before, zone), schedule(after, other)] as const;
          const opened = openNights((now) => schedules[now < changedAt ? 0 : 1], polls, 0);
          for (const [index, { night }] of opened.slice(1).entries()) {
            const pause = night - (opened[index]?.night ?? 0);
            // A date of 23 or 25 hours, before or after.
            expect(pause).toBeGreaterThanOrEqual(11.5 * hourMs);
            expect(pause).toBeLessThanOrEqual(37.5 * hourMs);
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});

/** How many ms of [from, until) lie within windows, one after the other. */
function sumWindowMs(schedule: Schedule, from: Date, until: Date): number {
  let sumMs = 0;
  for (let next = nextWindow(schedule, from); next.from < until; next = nextWindow(schedule, next.until)) {
    sumMs += Math.min(next.until.getTime(), until.getTime()) - Math.max(next.from.getTime(), from.getTime());
  }
  return sumMs;
}

const spanFrom = (window: string, text: string) => {
  const { from, until } = nextWindow(berlin(window), at(text));
  return [from.toISOString().slice(5, 16), until.toISOString().slice(5, 16)];
};

describe("a window", () => {
  test.each([
    ["02:00-06:00", "2024-03-30T12:00Z", ["03-31T01:00", "03-31T04:00"]],
    ["02:30-06:00", "2024-03-30T12:00Z", ["03-31T01:00", "03-31T04:00"]],
    ["22:00-02:30", "2024-03-30T12:00Z", ["03-30T21:00", "03-31T01:00"]],
    // Skipped as a whole.
    ["02:10-02:50", "2024-03-30T12:00Z", ["04-01T00:10", "04-01T00:50"]],
    ["02:00-06:00", "2024-10-26T12:00Z", ["10-27T00:00", "10-27T05:00"]],
    ["02:30-06:00", "2024-10-26T12:00Z", ["10-27T00:30", "10-27T05:00"]],
    ["22:00-02:30", "2024-10-26T12:00Z", ["10-26T20:00", "10-27T00:30"]],
    ["02:10-02:50", "2024-10-26T12:00Z", ["10-27T00:10", "10-27T00:50"]],
    ["22:00-04:00", "2024-07-10T23:00Z", ["07-10T20:00", "07-11T02:00"]],
    ["20:00-24:00", "2024-07-10T12:00Z", ["07-10T18:00", "07-10T22:00"]],
  ])("of %s is next at %s from %j", (window, now, expected) => {
    expect(spanFrom(window, now)).toEqual(expected);
  });

  test("contains its start, and not its end", () => {
    const night = schedule();
    expect(isInWindow(night, at("2024-07-10T01:59:59.999Z"))).toBe(false);
    expect(isInWindow(night, at("2024-07-10T02:00:00Z"))).toBe(true);
    expect(isInWindow(night, at("2024-07-10T05:59:59.999Z"))).toBe(true);
    expect(nextWindow(night, at("2024-07-10T05:59:59.999Z")).until).toEqual(at("2024-07-10T06:00:00Z"));
    expect(isInWindow(night, at("2024-07-10T06:00:00Z"))).toBe(false);
    expect(nextWindow(night, at("2024-07-10T06:00:00Z")).from).toEqual(at("2024-07-11T02:00:00Z"));
  });

  test.each(["all-day", " All-Day ", "00:00-24:00"])(
    "of %j is always open, and lasts to the next night",
    (window) => {
      const now = at("2024-07-10T12:34:56Z");
      const always = schedule("0 2 * * *", "UTC", window);
      expect(isInWindow(always, now)).toBe(true);
      expect(nextWindow(always, now)).toEqual({ from: now, until: at("2024-07-11T02:00:00Z") });
    },
  );

  test("has its hours in a hundred days", () => {
    const start = Date.parse("2024-07-01T00:00:00Z");
    const end = new Date(start + 100 * dayMs);
    expect(sumWindowMs(schedule(), new Date(start), end)).toBe(400 * hourMs);
    expect(sumWindowMs(berlin("02:00-06:00"), at("2024-03-01T12:00Z"), at("2024-04-01T12:00Z"))).toBe(
      (31 * 4 - 1) * hourMs,
    );
  });

  test("is as a walk by minutes finds it around each change of the clock", () => {
    const clock = fc.nat(24 * 12 - 1).map((index) => {
      const [hour, minute] = [Math.floor(index / 12), (index % 12) * 5];
      return `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
    });
    const clocks = fc.tuple(clock, clock).filter(([start, end]) => start !== end);
    // Of 7 days, away from both ends.
    const moment = fc.integer({ min: 2 * dayMs, max: 4 * dayMs });
    fc.assert(
      fc.property(fc.constantFrom(...changes), clocks, moment, moment, (change, [start, end], a, b) => {
        const { zone, minutes } = change;
        const { dates, findFirst, startMs } = minutes;
        const spans = dates
          .slice(0, -1)
          .map((date, index) => ({
            from: findFirst(`${date} ${start}`),
            until: findFirst(`${start < end ? date : dates[index + 1]} ${end}`),
          }))
          .filter(({ from, until }) => from < until);
        const windows = schedule("0 2 * * *", zone, `${start}-${end}`);
        const [from, until] = [startMs + Math.min(a, b), startMs + Math.max(a, b)];

        const next = spans.find((span) => span.until > from);
        const now = new Date(from);
        expect(nextWindow(windows, now)).toEqual({
          from: new Date(next?.from ?? 0),
          until: new Date(next?.until ?? 0),
        });
        const inside = next !== undefined && next.from <= from;
        expect(isInWindow(windows, now)).toBe(inside);

        const lengths = spans.map((span) => Math.min(span.until, until) - Math.max(span.from, from));
        const sum = lengths.reduce((sum, length) => sum + Math.max(0, length), 0);
        expect(sumWindowMs(windows, now, new Date(until))).toBe(sum);
      }),
      { numRuns: 400 },
    );
  });
});

describe("bad input", () => {
  const fiveFields =
    "a cron pattern of five fields (minute, hour, day, month, weekday; no seconds), e.g. 0 2 * * * or 30 1 * * MON-FRI";
  const aDay = "a cron pattern that fires on a day that exists";
  const apart = "a cron pattern whose times of day are at least 10 minutes apart";
  const aZone = "the name of a time zone, e.g. Europe/Berlin or UTC";
  const twoTimes = "two local times, e.g. 02:00-06:00 or 22:00-04:00, or all-day";

  test.each([
    ["", fiveFields],
    ["off", fiveFields],
    ["0 2 * *", fiveFields],
    ["0 0 2 * * *", fiveFields],
    ["0 0 2 * * * 2024", fiveFields],
    ["0 25 * * *", fiveFields],
    ["60 2 * * *", fiveFields],
    ["0 2 * * 8", fiveFields],
    ["0 2 * * FUNDAY", fiveFields],
    ["0 6-2 * * *", fiveFields],
    ["2024-07-10T02:00:00", fiveFields],
    ["@reboot", fiveFields],
    ["@fortnightly", fiveFields],
    ["0 2 30 2 *", aDay],
    ["0 2 31 4,6,9,11 *", aDay],
    ["* * * * *", apart],
    ["*/5 * * * *", apart],
    ["0,9 2 * * *", apart],
    ["58 2 * * *,", fiveFields],
    ["0,55 0,23 * * *", apart],
  ])("is refused as a cron pattern: %j", (cron, expected) => {
    expect(parseCron(cron)).toEqual({ ok: false, expected });
  });

  test.each(["*/10 * * * *", "0,10 2 * * *", "  0  2 * * *\t", "0 2 * * 7", "30 1 * * MON-FRI", "@weekly"])(
    "is not a cron pattern like %j",
    (cron) => expect(parseCron(cron)).toMatchObject({ ok: true }),
  );

  test.each(["", "Mars/Olympus", "Berlin", "Europe/Berlin; DROP"])(
    "is refused as a time zone: %j",
    (timeZone) => {
      expect(parseTimeZone(timeZone)).toEqual({ ok: false, expected: aZone });
    },
  );

  test.each([
    ["", twoTimes],
    ["02:00", twoTimes],
    ["2-6", twoTimes],
    ["02:00-06:60", twoTimes],
    ["02:00-24:01", twoTimes],
    ["24:00-06:00", twoTimes],
    ["25:00-06:00", twoTimes],
    ["02:00-06:00-08:00", twoTimes],
    ["never", twoTimes],
    ["02:00-02:00", "two different local times, or all-day"],
  ])("is refused as a window: %j", (window, expected) => {
    expect(parseWindow(window)).toEqual({ ok: false, expected });
  });

  test("is told all at once, by the names of the settings", () => {
    const texts = { AVATARS_RESYNC_CRON: "x", AVATARS_RESYNC_TZ: "y", AVATARS_RESYNC_WINDOW: "z" };
    expect(() => readConfig(texts)).toThrow(
      `settings: AVATARS_RESYNC_CRON must be ${fiveFields}; AVATARS_RESYNC_TZ must be ${aZone}; AVATARS_RESYNC_WINDOW must be ${twoTimes}`,
    );
  });

  test("of any kind is read or refused in words", () => {
    const field = fc.string({
      unit: fc.constantFrom(..."0 1 2 3 4 5 6 7 8 9 * / , - ? # L W + SUN JAN @".split(" ")),
      maxLength: 5,
    });
    const cron = fc.oneof(
      fc.string(),
      fc.array(field, { maxLength: 7 }).map((fields) => fields.join(" ")),
    );
    fc.assert(
      fc.property(cron, fc.string(), fc.string(), (cron, timeZone, window) => {
        for (const parsed of [parseCron(cron), parseTimeZone(timeZone), parseWindow(window)]) {
          if (!parsed.ok) expect(parsed.expected).not.toBe("");
        }
      }),
    );
  });
});
