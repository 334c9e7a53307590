import { nextNightAt, type ResyncSchedule } from "./resync-schedule.ts";
import { dayMs, findMoment, readClock, toDate, type ClockMs, type TimeZone } from "../time-zone.ts";

/** `from` is part of it, `until` is not. */
export interface ResyncWindow {
  readonly from: Date;
  readonly until: Date;
}

/** May the calls of a night be made at `at`? */
export function isInWindow(schedule: ResyncSchedule, at: Date): boolean {
  return schedule.window.kind === "all-day" || nextWindow(schedule, at).from <= at;
}

/** The window that contains `at`, or the next one. All day: from `at` to the next night. */
export function nextWindow(schedule: ResyncSchedule, at: Date): ResyncWindow {
  if (schedule.window.kind === "all-day") return { from: at, until: nextNightAt(schedule, at) };
  for (const span of spansFrom(schedule.timeZone, schedule.window, at.getTime())) {
    if (span.untilMs > at.getTime()) return { from: new Date(span.fromMs), until: new Date(span.untilMs) };
  }
  throw new RangeError("days have ended");
}

/**
 * A night that opens in its window, or before it, ends with it. One that was missed, and is made up for by day, goes on until the
 * next one, at the share by day until then.
 */
export function findNightEnd(schedule: ResyncSchedule, now: Date): Date | undefined {
  const { until } = nextWindow(schedule, now);
  return until < nextNightAt(schedule, now) ? until : undefined;
}

/**
 * The windows of all dates since the day before `atMs`, without end, in their order and without overlaps. One that the clock
 * skips is left out. In an hour that comes twice, a time of day is the first of the two.
 */
function* spansFrom(
  timeZone: TimeZone,
  window: { readonly fromMs: number; readonly untilMs: number },
  atMs: number,
): Generator<{ readonly fromMs: number; readonly untilMs: number }> {
  for (let date = toDate(readClock(timeZone, atMs)) - dayMs; ; date += dayMs) {
    const fromMs = findMoment(timeZone, (date + window.fromMs) as ClockMs).atMs;
    const untilMs = findMoment(timeZone, (date + window.untilMs) as ClockMs).atMs;
    if (fromMs < untilMs) yield { fromMs, untilMs };
  }
}
