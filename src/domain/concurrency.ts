const secondsPerCall = 20;
const least = 10;
const most = 2_000;

/**
 * Calls in flight at most, for an instance that sets none: enough to keep the full rate when more than one call
 * in four takes the whole 70 s that a deadline allows, and bounded for rates that no real instance has.
 */
export function defaultMaxInFlight(requestsPerSecond: number): number {
  return Math.min(most, Math.max(least, Math.ceil(requestsPerSecond * secondsPerCall)));
}
