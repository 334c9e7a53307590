import { Cron } from "croner";
import { dayMs, minuteMs, toDate, type ClockMs } from "../time-zone.ts";
import type { SettingParse } from "../setting-parse.ts";

/**
 * A cron pattern over readings of a clock that is never changed. The library is never told the zone: it would skip or double
 * the times of lists and steps when clocks change, and give a date no run whose last hour is skipped (America/Nuuk, 30 23 * * *).
 */
export type CronPattern = Pick<Cron, "nextRun" | "previousRuns">;

/** A pattern that fires more often is a mistake: it is for nights. */
const leastApartMs = 10 * minuteMs;
/** Any moment before a midnight does, as each pattern that ever fires does so again. */
const beforeADay = (Date.UTC(2000, 0, 1) - 1) as ClockMs;

/** Reads five fields, or a nickname such as `@daily`. */
export function parseCron(text: string): SettingParse<CronPattern> {
  const pattern = readPattern(text.trim());
  if (!pattern) {
    return {
      ok: false,
      expected:
        "a cron pattern of five fields (minute, hour, day, month, weekday; no seconds), e.g. 0 2 * * * or 30 1 * * MON-FRI",
    };
  }
  const first = findNextReading(pattern, beforeADay);
  if (first === undefined) return { ok: false, expected: "a cron pattern that fires on a day that exists" };
  if (!hasTimesApart(pattern, first)) {
    return { ok: false, expected: "a cron pattern whose times of day are at least 10 minutes apart" };
  }
  return { ok: true, value: pattern };
}

function readPattern(text: string): CronPattern | undefined {
  // The library would read a date, too.
  if (!/^(@\S+|\S+(\s+\S+){4})$/.test(text)) return undefined;
  try {
    return new Cron(text, { mode: "5-part", utcOffset: 0, paused: true });
  } catch {
    return undefined;
  }
}

/** All days that fire do so at the same times, so one of them tells. 23:55 and 00:00 are 5 minutes apart on any days. */
function hasTimesApart(pattern: CronPattern, first: ClockMs): boolean {
  const day = toDate(first);
  let last = first;
  for (;;) {
    const next = findNextReading(pattern, last);
    if (next === undefined || toDate(next) !== day) break;
    if (next - last < leastApartMs) return false;
    last = next;
  }
  const untilFirst = first - last + dayMs;
  return untilFirst >= leastApartMs;
}

/** Strictly after `clock`. */
export function findNextReading(pattern: CronPattern, clock: ClockMs): ClockMs | undefined {
  return pattern.nextRun(new Date(clock))?.getTime() as ClockMs | undefined;
}

/** Strictly before `clock`. */
export function findPreviousReading(pattern: CronPattern, clock: ClockMs): ClockMs | undefined {
  return pattern.previousRuns(1, new Date(clock))[0]?.getTime() as ClockMs | undefined;
}
