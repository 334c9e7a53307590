import type { Look, Schedule } from "./simulate.ts";

/** What a look at each contact is worth. */
export interface Worth {
  /** Never falls while `ticks`, the time since the last look, grows. */
  at(contact: number, ticks: number): number;
  /** What a look that was not the first has told; `ticks`: how long after the one before. */
  learn(look: Look, ticks: number): void;
}

/** So many times the calls of a tick are awake at least, and at most. */
const [fewestAwake, mostAwake] = [3, 12];

/**
 * Looks where it is worth most, at each tick, exactly. Not all are compared each time: who is worth less than a floor sleeps
 * until the tick at which it reaches it, which is known, since the worth only grows meanwhile. The floor moves so that there are
 * always more above it than calls.
 */
export function createHighestFirst(contacts: number, endAt: number, worth: Worth): Schedule {
  const lookedAt = new Int32Array(contacts).fill(-1);
  let awake: number[] = [];
  /** Of each tick those that reach the floor then. */
  let sleepers = new Map<number, number[]>();
  let floor = 0;

  const worthAt = (contact: number, at: number) => worth.at(contact, at - lookedAt[contact]!);

  const putToSleep = (contact: number, at: number) => {
    if (worthAt(contact, endAt) < floor) return;
    let [below, above] = [at, endAt];
    while (above - below > 1) {
      const middle = (below + above) >> 1;
      if (worthAt(contact, middle) < floor) below = middle;
      else above = middle;
    }
    const others = sleepers.get(above);
    if (others) others.push(contact);
    else sleepers.set(above, [contact]);
  };

  const placeAll = (candidates: Iterable<number>, at: number) => {
    awake = [];
    for (const contact of candidates) {
      if (worthAt(contact, at) >= floor) awake.push(contact);
      else putToSleep(contact, at);
    }
  };

  /** Lowers the floor to where enough are above it. */
  const wakeMore = (at: number, needed: number) => {
    const all = Float64Array.from({ length: contacts }, (_none, contact) => worthAt(contact, at)).sort();
    floor = all[Math.max(0, contacts - needed)] ?? 0;
    sleepers = new Map();
    placeAll(lookedAt.keys(), at);
  };

  return {
    choose(at, calls) {
      const woken = sleepers.get(at) ?? [];
      sleepers.delete(at);
      for (const contact of woken) {
        // The floor may have risen since it fell asleep.
        if (worthAt(contact, at) >= floor) awake.push(contact);
        else putToSleep(contact, at);
      }
      if (calls === 0) return [];
      if (awake.length < calls) wakeMore(at, fewestAwake * calls);
      const worths = Float64Array.from(awake, (contact) => worthAt(contact, at));
      const ascending = worths.toSorted();
      const { chosen, rest } = split(awake, worths, ascending[Math.max(0, awake.length - calls)] ?? 0, calls);
      awake = rest;
      if (awake.length > mostAwake * calls) {
        floor = ascending[ascending.length - fewestAwake * calls] ?? floor;
        placeAll(rest, at);
      }
      return chosen;
    },
    looked(look) {
      const { contact, at } = look;
      const before = lookedAt[contact]!;
      lookedAt[contact] = at;
      if (before < 0) return;
      worth.learn(look, at - before);
      putToSleep(contact, at);
    },
  };
}

/** The first `calls` that are worth at least `least`, those above it before those equal to it. */
function split(
  contacts: readonly number[],
  worths: Float64Array,
  least: number,
  calls: number,
): { chosen: number[]; rest: number[] } {
  const chosen = contacts.filter((_contact, index) => worths[index]! > least);
  const rest: number[] = [];
  for (const [index, contact] of contacts.entries()) {
    if (worths[index]! > least) continue;
    if (worths[index] === least && chosen.length < calls) chosen.push(contact);
    else rest.push(contact);
  }
  return { chosen, rest };
}
