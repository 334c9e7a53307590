/** Room for answers that take twice as long as they did of late. */
const headroom = 2;
/** Enough for one call in ten that takes the whole 70 s of a deadline, before any of them has come to its end. */
const leastSeconds = 10;
const least = 10;
const most = 2_000;

/**
 * Calls in flight at most, for an instance that sets none: as many as its rate needs with answers that take as long as they
 * do (Little's law), so that slow answers never lower the rate; and bounded, so that a provider that has stopped answering
 * does not fill our memory.
 * @param requestsPerSecond calls per second now
 * @param meanLatencyMs the mean time of an answer of late; undefined before the first
 */
export function defaultMaxInFlight(requestsPerSecond: number, meanLatencyMs: number | undefined): number {
  const seconds = Math.max(leastSeconds, (headroom * (meanLatencyMs ?? 0)) / 1000);
  return Math.min(most, Math.max(least, Math.ceil(requestsPerSecond * seconds)));
}
