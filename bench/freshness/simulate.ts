import { takeImageAt } from "./image-moments.ts";
import { toExponential, toUniform } from "./random.ts";
import { streams, toStream } from "./streams.ts";
import { createTally, type Tally } from "./tally.ts";

/** All looks are at full hours: nothing here changes within one. */
export const ticksPerDay = 24;
/**
 * All contacts are looked at once before the days that are measured begin, one after the other, within what the budget takes for
 * that. So round robin is in its steady state at once, and nobody knows more of a contact than one look tells.
 */
export const importDays = 10;
/** URLs live from 2 to 10 days (provider contract, The URL), each as probable as any other. */
const [leastUrlDays, mostUrlDays] = [2, 10];

/** What one look has told. Moments are in ticks since the import began. */
export interface Look {
  readonly contact: number;
  readonly at: number;
  /** Another avatar than at the last look; false at the first. */
  readonly hasChanged: boolean;
  readonly urlExpiresAt: number;
}

/** Decides who is looked at when. Has no clock, and no way to the truth but looks. */
export interface Schedule {
  /** Contacts to look at now, in any order, none of them twice; fewer than there are calls: the rest is saved. */
  choose(at: number, calls: number): readonly number[];
  looked(look: Look): void;
  /** How many it has chosen so far because their URL was about to expire. */
  countForUrls?(): number;
}

export interface World {
  /** Of each contact, in changes a day. */
  readonly rates: Float64Array;
  readonly seed: number;
  /** Calls that there are; so many that all contacts take {@link importDays}, unless told. */
  readonly callsPerDay?: number;
}

/** What became of the contacts between two moments, on average over all of them and over that time. */
export interface Figures {
  /** The share of them whose stored avatar was the right one. */
  readonly freshness: number;
  /** The share of them whose stored URL had expired: shown by it, a picture is dead. */
  readonly expired: number;
  /** With images: the share of them that showed none, since none was taken yet. */
  readonly missing: number;
  /** With images: the share of them that showed the image of an older version than the stored one. */
  readonly behind: number;
  readonly calls: number;
  /** Those of the calls that were made because a URL was about to expire. */
  readonly callsForUrls: number;
}

/** Where each contact stands. Moments are in ticks. */
interface Course {
  readonly lookedAt: Int32Array;
  readonly urlExpiresAt: Float64Array;
  /** When the avatar changes next. */
  readonly changesAt: Float64Array;
  readonly changes: Uint32Array;
  /** When the first image of all is there; Infinity before the first look. */
  readonly firstTakenAt: Float64Array;
  /** When the image of the stored version is there. */
  readonly takenAt: Float64Array;
}

/** For how long what held, by period. */
interface Sums {
  readonly fresh: Tally;
  readonly expired: Tally;
  readonly missing: Tally;
  readonly behind: Tally;
}

/**
 * Runs a schedule. Changes, expiries and images count at the moment they happen, not at the tick.
 * @param bounds the days at which periods begin and end, ascending, from 0 on; one result for each two neighbours
 */
export function simulate(world: World, schedule: Schedule, bounds: readonly number[]): readonly Figures[] {
  const contacts = world.rates.length;
  const starts = bounds.map((day) => (importDays + day) * ticksPerDay);
  const endAt = starts.at(-1) ?? 0;
  const course = createCourse(contacts);
  const sums = createSums(starts);
  const calls = starts.map(() => 0);
  const callsForUrls = starts.map(() => 0);

  const importTicks = importDays * ticksPerDay;
  for (let contact = 0; contact < contacts; contact += 1) {
    const at = Math.floor((contact * importTicks) / contacts);
    schedule.looked(look(course, world, contact, at, true));
  }
  const callsPerDay = world.callsPerDay ?? contacts / importDays;
  const callsUntil = (at: number) => Math.floor((at * callsPerDay) / ticksPerDay);
  for (let at = importTicks; at < endAt; at += 1) {
    const period = starts.findLastIndex((start) => start <= at);
    const before = schedule.countForUrls?.() ?? 0;
    const chosen = schedule.choose(at, callsUntil(at + 1) - callsUntil(at));
    calls[period]! += chosen.length;
    callsForUrls[period]! += (schedule.countForUrls?.() ?? 0) - before;
    for (const contact of chosen) {
      count(course, sums, contact, at);
      schedule.looked(look(course, world, contact, at, false));
    }
  }
  for (let contact = 0; contact < contacts; contact += 1) count(course, sums, contact, endAt);

  return bounds.slice(1).map((_day, period) => {
    const length = (starts[period + 1]! - starts[period]!) * contacts;
    return {
      freshness: sums.fresh.sum(period) / length,
      expired: sums.expired.sum(period) / length,
      missing: sums.missing.sum(period) / length,
      behind: sums.behind.sum(period) / length,
      calls: calls[period]!,
      callsForUrls: callsForUrls[period]!,
    };
  });
}

function createCourse(contacts: number): Course {
  return {
    lookedAt: new Int32Array(contacts),
    urlExpiresAt: new Float64Array(contacts),
    changesAt: new Float64Array(contacts),
    changes: new Uint32Array(contacts),
    firstTakenAt: new Float64Array(contacts).fill(Infinity),
    takenAt: new Float64Array(contacts).fill(Infinity),
  };
}

function createSums(starts: readonly number[]): Sums {
  return {
    fresh: createTally(starts),
    expired: createTally(starts),
    missing: createTally(starts),
    behind: createTally(starts),
  };
}

/** Looks at a contact, and takes its image where that is another one than is shown. */
function look(course: Course, world: World, contact: number, at: number, isFirst: boolean): Look {
  if (isFirst) course.changesAt[contact] = at;
  const hasChanged = !isFirst && course.changesAt[contact]! <= at;
  passChanges(course, world, contact, at);
  course.lookedAt[contact] = at;
  const urlExpiresAt = at + toUrlTicks(world.seed, contact, at);
  course.urlExpiresAt[contact] = urlExpiresAt;
  // An image that is still to be taken is taken from the newer URL where that comes first.
  if (isFirst || hasChanged || course.takenAt[contact]! > at) {
    const takenAt = takeImageAt(world.seed, contact, { at, urlExpiresAt });
    course.takenAt[contact] = hasChanged ? takenAt : Math.min(course.takenAt[contact]!, takenAt);
    course.firstTakenAt[contact] = Math.min(course.firstTakenAt[contact]!, takenAt);
  }
  return { contact, at, hasChanged, urlExpiresAt };
}

function passChanges(course: Course, { rates, seed }: World, contact: number, at: number): void {
  const perTick = rates[contact]! / ticksPerDay;
  while (course.changesAt[contact]! <= at) {
    const gap = toExponential(seed, toStream(contact, streams.change), course.changes[contact]!);
    course.changesAt[contact]! += gap / perTick;
    course.changes[contact]! += 1;
  }
}

/** Adds up what a contact has shown from its last look until now. */
function count(course: Course, { fresh, expired, missing, behind }: Sums, contact: number, at: number): void {
  const from = course.lookedAt[contact]!;
  fresh.add(from, Math.min(at, course.changesAt[contact]!));
  expired.add(Math.max(from, Math.min(at, course.urlExpiresAt[contact]!)), at);
  const firstShownAt = Math.max(from, Math.min(at, course.firstTakenAt[contact]!));
  missing.add(from, firstShownAt);
  behind.add(firstShownAt, Math.min(at, course.takenAt[contact]!));
}

function toUrlTicks(seed: number, contact: number, at: number): number {
  const days =
    leastUrlDays + (mostUrlDays - leastUrlDays) * toUniform(seed, toStream(contact, streams.url), at);
  return days * ticksPerDay;
}
