import type { SettingParse } from "./setting-parse.ts";

export interface TimeZone {
  /** As it was given. */
  readonly name: string;
  readonly format: Intl.DateTimeFormat;
}

/**
 * What a clock on the wall of a zone shows, as the ms of a UTC moment with the same date and time. Clock readings are put in
 * order and reckoned with as if no clock were ever changed; only this file knows that they are.
 */
export type ClockMs = number & { readonly __brand: "ClockMs" };

export const minuteMs = 60_000;
export const dayMs = 24 * 60 * minuteMs;

/** Reads a name of the IANA database. The names and rules known are those of this Node.js. */
export function parseTimeZone(text: string): SettingParse<TimeZone> {
  const name = text.trim();
  try {
    // Latin digits, months as numbers, and no 24:00.
    const format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      calendar: "gregory",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    return { ok: true, value: { name, format } };
  } catch {
    return { ok: false, expected: "the name of a time zone, e.g. Europe/Berlin or UTC" };
  }
}

/** @param atMs a moment, ms since 1970 */
export function readClock(zone: TimeZone, atMs: number): ClockMs {
  const [month = 0, day, year = 0, hour, minute, second] = (zone.format.format(atMs).match(/\d+/g) ?? []).map(
    Number,
  );
  const wholeSeconds = Math.floor(atMs / 1000) * 1000;
  return (Date.UTC(year, month - 1, day, hour, minute, second) + atMs - wholeSeconds) as ClockMs;
}

/** Midnight at the start of the date that the clock shows. */
export function toDate(clock: ClockMs): ClockMs {
  return (Math.floor(clock / dayMs) * dayMs) as ClockMs;
}

/**
 * When the clock shows `clock`, in ms since 1970: for the first time, if it is put back over it; and if it is put forward over
 * it, the moment at which that happens. So a later reading never comes at an earlier moment.
 */
export function findMoment(zone: TimeZone, clock: ClockMs): { atMs: number; skipped: boolean } {
  // No clock is further than 14 h from UTC, and none is changed twice within two days.
  const [beforeMs, afterMs] = [clock - dayMs, clock + dayMs];
  const offsetBeforeMs = readClock(zone, beforeMs) - beforeMs;
  const offsetAfterMs = readClock(zone, afterMs) - afterMs;
  const first = clock - offsetBeforeMs;
  if (offsetBeforeMs === offsetAfterMs || readClock(zone, first) === clock) {
    return { atMs: first, skipped: false };
  }
  const second = clock - offsetAfterMs;
  if (readClock(zone, second) === clock) return { atMs: second, skipped: false };
  return { atMs: findPassing(zone, clock, beforeMs, afterMs), skipped: true };
}

/** The first ms after `fromMs` at which the clock has passed `clock`, by bisection. */
function findPassing(zone: TimeZone, clock: ClockMs, fromMs: number, untilMs: number): number {
  let [not, passed] = [fromMs, untilMs];
  while (passed - not > 1) {
    const middle = Math.floor((not + passed) / 2);
    if (readClock(zone, middle) > clock) passed = middle;
    else not = middle;
  }
  return passed;
}
