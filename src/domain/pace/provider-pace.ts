import { callsInFirstStep, probeShare, probeStepMs } from "./refusal-constants.ts";

/**
 * What the provider's refusals (HTTP 429) have taught about the calls per second that it takes. It stays as it is until the next
 * refusal; the pace at each moment follows from it (store/work/pace-sql.ts has the same in SQL):
 *
 *   calls/s                                ┌─ rate
 *     │                                ┌───┘
 *     │                            ┌───┘  steps beyond, each twice as far as the one before
 *     │     ┌──────────────────────┘ takenRate
 *     │  ╱  climbs: doubles each second
 *     │╱ climbRate
 *     └┬────────────────────────────┬──────────────► time
 *      climbFromMs                  climbFromMs + probeAfterMs
 */
export interface ProviderPace {
  readonly climbRate: number;
  /** When the climb begins: not before calls at the new pace can have been answered. By the database's clock. */
  readonly climbFromMs: number;
  /** What was taken in a second while more was refused; undefined: nothing, which tells nothing of a level. */
  readonly takenRate: number | undefined;
  readonly probeAfterMs: number;
}

/**
 * How long the first step beyond the rate that was taken is kept: so long that a call is surely made in it, although processes read
 * the pace once a second and a slot may have been chosen at the pace before.
 */
export function firstStepMs(takenRate: number): number {
  return probeStepMs + (1000 * callsInFirstStep) / takenRate;
}

/** More doublings than any rate needs; enough to keep the numbers small. */
const mostDoublings = 20;

/**
 * Calls per second that refusals of the provider leave at a moment. Not bounded by the instance's rate; infinite before the first
 * refusal. Pure.
 */
export function providerRateAt(pace: ProviderPace | undefined, atMs: number): number {
  if (pace === undefined) return Infinity;
  const { climbRate, takenRate, probeAfterMs } = pace;
  // A clock that was set back must not turn it into a negative number.
  const passedMs = Math.max(0, atMs - pace.climbFromMs);
  const climbed = climbRate * 2 ** Math.min(passedMs / 1000, mostDoublings);
  if (takenRate === undefined) return climbed;
  if (passedMs < probeAfterMs) return Math.min(climbed, takenRate);
  const beyondFirstMs = passedMs - probeAfterMs - firstStepMs(takenRate);
  const steps = Math.min(
    1 + Math.floor(Math.max(0, beyondFirstMs + probeStepMs) / probeStepMs),
    mostDoublings,
  );
  return takenRate + Math.max(1, probeShare * takenRate) * (2 ** steps - 1);
}
