/** How fast an instance may be called. */
export interface Pace {
  readonly requestsPerSecond: number;
  /** Kept on top of every full second: requests reach the provider with jitter. */
  readonly marginMs: number;
}

/** The longest that a call may lag behind its slot and still be sent in it. */
export const slotToleranceMs = 50;

/**
 * How wrong we may be about the database's clock: as long as its answer to a claim takes. Slots are not used
 * when it takes longer.
 */
export const clockErrorMs = 250;

/**
 * The gap between the slots of two lanes: calls may be late by the tolerance, and so may be a lane's idea of the database's
 * clock.
 */
export const laneGapMs = 2 * slotToleranceMs + clockErrorMs;

/**
 * The time between two slots, in ms: a full second with its margin, shared evenly by the whole calls that fit
 * in it. At 1.5 a second two processes would otherwise put two calls into one second.
 */
export function slotSpacingMs(pace: Pace): number {
  return (1000 + pace.marginMs) / Math.min(pace.requestsPerSecond, callsPerWindow(pace));
}

/** How many calls may start in one sliding second; a rate below 1 is kept by the spacing alone. */
function callsPerWindow(pace: Pace): number {
  return Math.max(1, Math.floor(pace.requestsPerSecond));
}

/**
 * Decides when the next call of one instance run may be sent. All moments are ms on one monotonic clock.
 *
 * Two rules, and the later one wins:
 * - slots lie `slotSpacingMs` apart; a call that is late by more than the tolerance pushes those behind it;
 * - the n-th call waits for a full second and the margin after the (n − rate)-th was *really* sent. So no sliding second
 *   has more calls than the rate, whatever the timers do.
 */
export interface Pacer {
  /** The earliest moment for the next call. */
  nextAt(): number;
  /** The next call goes at `at`. Returns its number. */
  sent(at: number): number;
  /** The call of this number left only at `at`: its connection had to be opened first. */
  left(call: number, at: number): void;
  /** Slots reserved anew: none before `at`. */
  startAt(at: number): void;
  /** The pace changed; what was sent still counts. */
  setPace(pace: Pace): void;
}

export function createPacer(initial: Pace, start: number): Pacer {
  let pace = initial;
  let slotAt = start;
  /** When the last calls were sent, oldest first: at least one window of the fastest pace so far. */
  let sentAt: number[] = [];
  let keep = callsPerWindow(pace);
  /** The number of the first call that is kept. */
  let firstKept = 0;
  /** The latest of those that left late and would have been waited for already. */
  let lastLeftLate = -Infinity;

  const windowOpensAt = () => {
    const calls = callsPerWindow(pace);
    const blocking = (sentAt.length >= calls ? sentAt[sentAt.length - calls] : undefined) ?? -Infinity;
    const windowMs = Math.max(1000 + pace.marginMs, pace.requestsPerSecond < 1 ? slotSpacingMs(pace) : 0);
    return Math.max(blocking, lastLeftLate) + windowMs;
  };

  return {
    nextAt: () => Math.max(slotAt, windowOpensAt()),
    sent(at) {
      sentAt.push(at);
      // Trimmed in blocks: a shift per call would cost O(rate).
      if (sentAt.length > keep * 4 + 64) {
        firstKept += sentAt.length - keep;
        sentAt = sentAt.slice(-keep);
      }
      slotAt = Math.max(slotAt, at - slotToleranceMs) + slotSpacingMs(pace);
      return firstKept + sentAt.length - 1;
    },
    left(call, at) {
      const index = call - firstKept;
      if (index <= sentAt.length - callsPerWindow(pace)) lastLeftLate = Math.max(lastLeftLate, at);
      if (index >= 0) sentAt[index] = at;
    },
    startAt(at) {
      slotAt = Math.max(slotAt, at);
    },
    setPace(next) {
      pace = next;
      keep = Math.max(keep, callsPerWindow(next));
    },
  };
}
