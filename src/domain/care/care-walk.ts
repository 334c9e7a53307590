import { dayMs } from "../time-zone.ts";
import type { ClockMs } from "../time-zone.ts";
import type { CareFacts } from "./care.ts";
import { findDay, findDayEnd, findQuietChange, isQuiet } from "./care-clock.ts";

/** How far an instance has come with its calls: a moment, and what of that day's cap is used up. */
export interface CareWalk {
  readonly atMs: number;
  /** The day that is counted. */
  readonly day: ClockMs;
  readonly callsToday: number;
}

/** Calls that an instance is to make. */
export interface Stretch {
  /** Calls per ms while it may be called. */
  readonly perMs: number;
  /** No call from here on. */
  readonly untilMs: number;
  readonly calls: number;
}

const noCare: CareFacts = {
  callsPerDay: undefined,
  quiet: undefined,
  quietInteractive: false,
  timeZone: "UTC",
  callsToday: 0,
};

/** @param care undefined: the instance may be called at any time */
export function beginWalk(care: CareFacts | undefined, atMs: number): CareWalk {
  const { callsToday } = care ?? noCare;
  return { atMs, day: findDay(care ?? noCare, atMs), callsToday };
}

/** No walk goes further: the dates of Node.js end, too. */
const longestMs = 1_000 * 366 * dayMs;

/** Days that are gone through one by one; calls of the days after them are as many as those of the last ones. */
const daysSeen = 14;
const daysCounted = 7;

/**
 * Makes calls as fast as `perMs` allows, outside of quiet hours and as far as each day's cap goes. Ends with the last call, at
 * `untilMs`, or after a thousand years. Pure. Exact for two weeks; what takes longer is off by an hour of calls for each change of the clock at most.
 */
export function walk(
  care: CareFacts | undefined,
  from: CareWalk,
  { perMs, untilMs, calls }: Stretch,
): { readonly walk: CareWalk; readonly made: number } {
  const rules = care ?? noCare;
  const lastMs = Math.min(Math.max(from.atMs, untilMs), from.atMs + longestMs);
  if (perMs <= 0 || calls <= 0) return { walk: calls <= 0 ? from : stepTo(rules, from, lastMs), made: 0 };
  let at = from;
  let made = 0;
  let countedFrom: { readonly atMs: number; readonly made: number } | undefined;
  for (let days = 0; at.atMs < lastMs && made < calls;) {
    const before = at.day;
    const step = stepOn(rules, at, { perMs, untilMs: lastMs, calls: calls - made });
    at = step.walk;
    made += step.made;
    if (at.day === before) continue;
    days += 1;
    if (days === daysSeen - daysCounted) countedFrom = { atMs: at.atMs, made };
    if (days !== daysSeen || countedFrom === undefined) continue;
    const jump = findJump(made - countedFrom.made, calls - made, lastMs - at.atMs);
    if (jump.days > 0)
      at = stepTo(rules, at, findDayEnd(rules, (at.day + (jump.days - 1) * dayMs) as ClockMs));
    made += jump.made;
  }
  return { walk: at, made };
}

/** Whole days that are jumped over: all but the last two. */
function findJump(inCounted: number, callsLeft: number, msLeft: number): { days: number; made: number } {
  const perDay = inCounted / daysCounted;
  const most = Math.min(perDay > 0 ? callsLeft / perDay : Infinity, msLeft / dayMs);
  const days = Number.isFinite(most) ? Math.max(0, Math.floor(most) - 2) : 0;
  return { days, made: days * perDay };
}

/** One stretch of a day at most: to the end of quiet hours, or of the calls, or to the next quiet hours, or the next day. */
function stepOn(
  care: CareFacts,
  { atMs, day, callsToday }: CareWalk,
  { perMs, untilMs, calls }: Stretch,
): { readonly walk: CareWalk; readonly made: number } {
  const change = findQuietChange(care, atMs);
  if (isQuiet(care, atMs))
    return { walk: stepTo(care, { atMs, day, callsToday }, Math.min(change, untilMs)), made: 0 };
  const { callsPerDay = Infinity } = care;
  // Without a cap no day has to be counted.
  const dayEndMs = callsPerDay === Infinity && care.quiet === undefined ? Infinity : findDayEnd(care, day);
  const most = Math.min(calls, Math.max(0, callsPerDay - callsToday));
  const endMs = Math.min(untilMs, dayEndMs, most === 0 ? Infinity : change);
  const can = (endMs - atMs) * perMs;
  // A call less than that is only what floating point makes of it.
  const isDone = can >= most && most > 0;
  const made = most === 0 ? 0 : Math.min(can, most);
  const next = isDone ? Math.min(endMs, atMs + most / perMs) : endMs;
  return { walk: stepTo(care, { atMs, day, callsToday: callsToday + made }, next), made };
}

/** Lets time go on without a call. A day that has begun is not left for an earlier one where the clock is put back over midnight. */
function stepTo(care: CareFacts, from: CareWalk, atMs: number): CareWalk {
  if (care.callsPerDay === undefined && care.quiet === undefined) return { ...from, atMs };
  const day = Math.max(from.day, findDay(care, atMs)) as ClockMs;
  return { atMs, day, callsToday: day === from.day ? from.callsToday : 0 };
}

/** Lets time go on to a moment without a call; to one that has passed, not at all. */
export function rest(care: CareFacts | undefined, from: CareWalk, untilMs: number): CareWalk {
  return untilMs <= from.atMs ? from : stepTo(care ?? noCare, from, untilMs);
}
