/** The client waits as long as it is told, up to this; who is told longer gets the error at once, and can wait by itself. Ms. */
const maxRetryAfterMs = 60_000;
const baseMs = 500;
const maxBackoffMs = 30_000;

/**
 * How long to wait before the next try, ms; undefined: longer than it is worth.
 * @param failures tries that have failed, from 1
 * @param retryAfterMs what the server asks for
 * @param random uniform in [0, 1)
 */
export function toRetryDelayMs(
  failures: number,
  retryAfterMs: number | undefined,
  random: () => number,
): number | undefined {
  const backoffMs = random() * Math.min(maxBackoffMs, baseMs * 2 ** (failures - 1));
  if (retryAfterMs === undefined) return backoffMs;
  if (retryAfterMs > maxRetryAfterMs) return undefined;
  // Those who were sent away together do not come back together.
  return retryAfterMs + backoffMs / 4;
}
