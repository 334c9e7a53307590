import {
  dayMs,
  findMoment,
  minuteMs,
  parseTimeZone,
  readClock,
  toDate,
  type TimeZone,
} from "../time-zone.ts";
import type { ClockMs } from "../time-zone.ts";
import type { Care, QuietHours } from "./care.ts";

/*
 * Whether it is quiet, and which day it is, is what a clock on the wall of the zone shows. Where it is put back over an hour, that
 * hour comes twice: also as a quiet one. Postgres says the same (store/work/care-sql.ts).
 */

const zones = new Map<string, TimeZone>();

/** The zone of a care. A name that this Node.js does not know is taken for UTC, as Postgres does it. */
export function toZone({ timeZone }: Pick<Care, "timeZone">): TimeZone {
  const known = zones.get(timeZone);
  if (known) return known;
  const parsed = parseTimeZone(timeZone);
  // A name of the zones' database, of which there are some hundred: the map stays small.
  if (parsed.ok) zones.set(timeZone, parsed.value);
  return parsed.ok ? parsed.value : toZone({ timeZone: "UTC" });
}

function isInHours({ from, until }: QuietHours, clock: ClockMs): boolean {
  const minute = Math.floor((clock - toDate(clock)) / minuteMs);
  return from < until ? minute >= from && minute < until : minute >= from || minute < until;
}

/** Is it quiet at a moment, ms since 1970? */
export function isQuiet(care: Care, atMs: number): boolean {
  return care.quiet !== undefined && isInHours(care.quiet, readClock(toZone(care), atMs));
}

/** The first moment after `atMs` at which quiet hours begin, or end; Infinity: there are none. */
export function findQuietChange(care: Care, atMs: number): number {
  const { quiet } = care;
  if (quiet === undefined) return Infinity;
  const zone = toZone(care);
  const wasQuiet = isInHours(quiet, readClock(zone, atMs));
  const bound = (wasQuiet ? quiet.until : quiet.from) * minuteMs;
  for (let at = atMs; ;) {
    const clock = readClock(zone, at);
    const untilMs = (bound - (clock - toDate(clock)) + dayMs) % dayMs || dayMs;
    const end = at + untilMs;
    // A clock that is not changed until then shows the bound then.
    const passed = findClockChange(zone, at, end) ?? end;
    if (isInHours(quiet, readClock(zone, passed)) !== wasQuiet) return passed;
    at = passed;
  }
}

/** The first moment after `fromMs`, up to `untilMs`, at which the clock shows another time than it should; undefined: there is none. */
function findClockChange(zone: TimeZone, fromMs: number, untilMs: number): number | undefined {
  const offsetMs = readClock(zone, fromMs) - fromMs;
  if (readClock(zone, untilMs) - untilMs === offsetMs) return undefined;
  let [before, after] = [fromMs, untilMs];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (readClock(zone, middle) - middle === offsetMs) before = middle;
    else after = middle;
  }
  return after;
}

/** Midnight at the start of the date that the zone shows, as a clock reading. */
export function findDay(care: Care, atMs: number): ClockMs {
  return toDate(readClock(toZone(care), atMs));
}

/** When the day is over, ms since 1970: 23 or 25 hours after its beginning, on some. */
export function findDayEnd(care: Care, day: ClockMs): number {
  return findMoment(toZone(care), (day + dayMs) as ClockMs).atMs;
}

/** The day `2026-03-29`, as {@link findDay} has it. */
export function parseDay(text: string): ClockMs {
  return Date.parse(`${text}T00:00:00Z`) as ClockMs;
}
