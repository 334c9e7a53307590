import { findNextReading, findPreviousReading, type CronPattern } from "./cron-pattern.ts";
import type { DailyWindow } from "../daily-window.ts";
import { findMoment, minuteMs, readClock, toDate, type ClockMs, type TimeZone } from "../time-zone.ts";

/** When all contacts are asked for again. A night is known by its slot: the moment at which the pattern fires. */
export interface ResyncSchedule {
  readonly cron: CronPattern;
  readonly timeZone: TimeZone;
  /** When its calls may be made. */
  readonly window: DailyWindow;
}

/**
 * The night that has to be opened now, if any. Nights that were missed collapse into the latest one. Each slot of an unchanged
 * pattern is opened once; one of a changed pattern that follows the last night by less than half of the pattern's own pause
 * is left out, so that a move from 02:00 to 03:00 makes no second night.
 * @param lastNightAt the slot of the last night that was opened; before the first one, the moment since which slots count
 */
export function findNight(schedule: ResyncSchedule, lastNightAt: Date, now: Date): Date | undefined {
  const slotMs = findLatestSlotMs(schedule, now.getTime());
  if (slotMs === undefined || slotMs <= lastNightAt.getTime()) return undefined;
  const previousMs = findLatestSlotMs(schedule, slotMs - 1);
  const pauseMs = previousMs === undefined ? 0 : slotMs - previousMs;
  return slotMs - lastNightAt.getTime() >= pauseMs / 2 ? new Date(slotMs) : undefined;
}

/** The first slot strictly after `now`. */
export function nextNightAt(schedule: ResyncSchedule, now: Date): Date {
  return new Date(getNextSlot(schedule, now.getTime()).slotMs);
}

/** At `atMs` or before. */
function findLatestSlotMs(schedule: ResyncSchedule, atMs: number): number | undefined {
  // Slots keep the order of their readings: before the first that is yet to come stands the last that has come.
  const reading = findPreviousReading(schedule.cron, getNextSlot(schedule, atMs).reading);
  return reading === undefined ? undefined : toSlotMs(schedule.timeZone, reading);
}

/** The first slot strictly after `atMs`, and what the clock shows, or would show, then. */
function getNextSlot(
  { cron, timeZone }: ResyncSchedule,
  atMs: number,
): { readonly reading: ClockMs; readonly slotMs: number } {
  let last = readClock(timeZone, atMs);
  for (;;) {
    const reading = findNextReading(cron, last);
    if (reading === undefined) throw new RangeError("a pattern without an end has ended");
    const slotMs = toSlotMs(timeZone, reading);
    if (slotMs > atMs) return { reading, slotMs };
    // It has come already, and the clock was put back over it since.
    last = reading;
  }
}

/**
 * A reading that the clock skips has its slot when it is skipped; and if this is on the next date already (America/Nuuk skips
 * 23:00 to 00:00), a minute before, so that each date keeps its night.
 */
function toSlotMs(timeZone: TimeZone, reading: ClockMs): number {
  const { atMs, skipped } = findMoment(timeZone, reading);
  const staysOnDate = !skipped || toDate(readClock(timeZone, atMs)) === toDate(reading);
  return staysOnDate ? atMs : atMs - minuteMs;
}
