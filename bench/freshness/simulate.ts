import { toExponential, toUniform } from "./random.ts";
import { streams, toStream } from "./streams.ts";
import { createTally } from "./tally.ts";

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
}

export interface World {
  /** Of each contact, in changes a day. */
  readonly rates: Float64Array;
  readonly seed: number;
}

/** What became of the contacts between two moments, on average over all of them and over that time. */
export interface Figures {
  /** The share of them whose stored avatar was the right one. */
  readonly freshness: number;
  /** The share of them whose stored URL had expired. */
  readonly expired: number;
  readonly calls: number;
}

/**
 * Runs a schedule with so many calls a day that all contacts take {@link importDays}. Changes and expiries count at the moment
 * they happen, not at the tick.
 * @param bounds the days at which periods begin and end, ascending, from 0 on; one result for each two neighbours
 */
export function simulate(
  { rates, seed }: World,
  schedule: Schedule,
  bounds: readonly number[],
): readonly Figures[] {
  const contacts = rates.length;
  const lookedAt = new Int32Array(contacts);
  const urlExpiresAt = new Float64Array(contacts);
  const changesAt = new Float64Array(contacts);
  const changes = new Uint32Array(contacts);
  const starts = bounds.map((day) => (importDays + day) * ticksPerDay);
  const endAt = starts.at(-1) ?? 0;
  const fresh = createTally(starts);
  const expired = createTally(starts);
  const calls = starts.map(() => 0);

  const passChanges = (contact: number, at: number) => {
    const perTick = rates[contact]! / ticksPerDay;
    while (changesAt[contact]! <= at) {
      const gap = toExponential(seed, toStream(contact, streams.change), changes[contact]!);
      changesAt[contact]! += gap / perTick;
      changes[contact]! += 1;
    }
  };
  const count = (contact: number, at: number) => {
    const from = lookedAt[contact]!;
    fresh.add(from, Math.min(at, changesAt[contact]!));
    expired.add(Math.max(from, Math.min(at, urlExpiresAt[contact]!)), at);
  };
  const look = (contact: number, at: number, isFirst: boolean) => {
    if (isFirst) changesAt[contact] = at;
    else count(contact, at);
    const hasChanged = !isFirst && changesAt[contact]! <= at;
    passChanges(contact, at);
    lookedAt[contact] = at;
    urlExpiresAt[contact] = at + toUrlTicks(seed, contact, at);
    schedule.looked({ contact, at, hasChanged, urlExpiresAt: urlExpiresAt[contact] });
  };

  const ticks = importDays * ticksPerDay;
  for (let contact = 0; contact < contacts; contact += 1)
    look(contact, Math.floor((contact * ticks) / contacts), true);
  for (let at = ticks; at < endAt; at += 1) {
    const budget = Math.floor(((at + 1) * contacts) / ticks) - Math.floor((at * contacts) / ticks);
    const chosen = schedule.choose(at, budget);
    calls[starts.findLastIndex((start) => start <= at)]! += chosen.length;
    for (const contact of chosen) look(contact, at, false);
  }
  for (let contact = 0; contact < contacts; contact += 1) count(contact, endAt);

  return bounds.slice(1).map((_day, period) => {
    const length = (starts[period + 1]! - starts[period]!) * contacts;
    return {
      freshness: fresh.sum(period) / length,
      expired: expired.sum(period) / length,
      calls: calls[period]!,
    };
  });
}

function toUrlTicks(seed: number, contact: number, at: number): number {
  const days =
    leastUrlDays + (mostUrlDays - leastUrlDays) * toUniform(seed, toStream(contact, streams.url), at);
  return days * ticksPerDay;
}
