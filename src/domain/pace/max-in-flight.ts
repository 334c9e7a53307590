/** Room for answers that take twice as long as they did of late. */
const headroom = 2;
/** Enough where one call in ten takes the whole 70 s of a deadline, before the first of those has ended. */
const leastSeconds = 10;
const least = 10;
const most = 2_000;

/**
 * Calls in flight at most, for an instance that sets none. They are as many as its rate needs with answers that take as long as they
 * do (Little's law): slow answers never lower the rate. They are bounded, so that a provider that has stopped answering does not
 * fill our memory.
 * @param requestsPerSecond calls per second now
 * @param meanLatencyMs the mean time of an answer of late; undefined before the first
 */
export function defaultMaxInFlight(requestsPerSecond: number, meanLatencyMs: number | undefined): number {
  const seconds = Math.max(leastSeconds, (headroom * (meanLatencyMs ?? 0)) / 1000);
  return Math.min(most, Math.max(least, Math.ceil(requestsPerSecond * seconds)));
}
