/** How fast an instance may be called. */
export interface Pace {
  readonly requestsPerSecond: number;
  /** Kept on top of every full second: requests reach the provider with jitter. */
  readonly marginMs: number;
}

/** The longest that a call may lag behind its slot without pushing those behind it. */
export const slotToleranceMs = 50;

/** What the provider counts in. */
const secondMs = 1_000;

/**
 * The time between two slots, in ms: a full second with its margin, shared evenly by the whole calls that fit
 * in it.
 */
export function slotSpacingMs(pace: Pace): number {
  return (secondMs + pace.marginMs) / Math.min(pace.requestsPerSecond, callsPerWindow(pace));
}

/** How many calls may leave in one sliding second; a rate below 1 is kept by the window alone. */
function callsPerWindow(pace: Pace): number {
  return Math.max(1, Math.floor(pace.requestsPerSecond));
}

/** How long a call counts, ms. */
function windowMs(pace: Pace): number {
  const second = secondMs + pace.marginMs;
  return pace.requestsPerSecond < 1 ? Math.max(second, slotSpacingMs(pace)) : second;
}

/**
 * Decides when the calls of one instance may be sent, and whether each may leave. All moments are ms on one monotonic clock.
 *
 * - Slots lie `slotSpacingMs` apart; a call that is late by more than the tolerance pushes those behind it.
 * - A call leaves when its request is written, which may be later: its connection has to be opened first. It may leave only
 *   a full second and the margin after the n-th before it *really left*, n being the rate. So no sliding second has more
 *   calls than the rate, whatever timers and connections do.
 */
export interface Pacer {
  /** The earliest moment for the next call. Infinity: calls that have not left yet may need all that there is. */
  nextAt(): number;
  /** A call is sent at `at`. It has not left yet. */
  send(at: number): void;
  /** The call that was sent would leave at `at`. False: it must not, and has ended. */
  leave(at: number): boolean;
  /** A call that was sent has ended without having left. */
  drop(): void;
  /** No call before `at`. */
  startAt(at: number): void;
  /** Calls that left before, by another hand. */
  add(leftAt: readonly number[]): void;
  /** The pace changed; what left before still counts. */
  setPace(pace: Pace): void;
  /** When calls left that still count at `at`, oldest first. */
  listRecent(at: number): number[];
}

export function createPacer(initial: Pace, start: number): Pacer {
  let pace = initial;
  let slotAt = start;
  /** When the last calls left, oldest first: at least one window of the fastest pace so far. */
  let leftAt: number[] = [];
  let keep = callsPerWindow(pace);
  /** Calls that were sent and have not left. */
  let waiting = 0;

  /** When one more may leave, if `ahead` others leave before it. */
  function opensAt(ahead: number): number {
    const blocking = callsPerWindow(pace) - ahead;
    if (blocking <= 0) return Infinity;
    const at = leftAt[leftAt.length - blocking];
    return at === undefined ? -Infinity : at + windowMs(pace);
  }

  return {
    nextAt: () => Math.max(slotAt, opensAt(waiting)),
    send(at) {
      waiting += 1;
      slotAt = Math.max(slotAt, at - slotToleranceMs) + slotSpacingMs(pace);
    },
    leave(at) {
      waiting -= 1;
      if (at < opensAt(0)) return false;
      leftAt.push(at);
      // Trimmed in blocks: a shift per call would cost O(rate).
      if (leftAt.length > keep * 4 + 64) leftAt = leftAt.slice(-keep);
      return true;
    },
    drop() {
      waiting -= 1;
    },
    startAt(at) {
      slotAt = Math.max(slotAt, at);
    },
    add(moments) {
      leftAt = [...leftAt, ...moments].sort((a, b) => a - b);
    },
    setPace(next) {
      pace = next;
      keep = Math.max(keep, callsPerWindow(next));
    },
    listRecent: (at) => leftAt.slice(-keep).filter((left) => left > at - windowMs(pace)),
  };
}
