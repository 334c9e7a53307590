const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** The waits before the second try and all further ones, from the one before: 75 hours in all. */
export const retryWaitsMs: readonly number[] = [
  5 * secondMs,
  5 * minuteMs,
  30 * minuteMs,
  2 * hourMs,
  5 * hourMs,
  10 * hourMs,
  14 * hourMs,
  20 * hourMs,
  24 * hourMs,
];

/** Many events that have failed at once must not come again at once. */
const jitter = 0.1;

/**
 * The wait before the next try, ms. Undefined: there is none any more.
 * @param tries made so far, 1 at least
 * @param retryAfterMs what the receiver asked for, where it did; it is not tried earlier
 * @param random from 0 to 1
 */
export function toRetryWaitMs(
  tries: number,
  retryAfterMs: number | undefined,
  random: () => number,
): number | undefined {
  const waitMs = retryWaitsMs[tries - 1];
  if (waitMs === undefined) return undefined;
  return Math.max(waitMs * (1 + jitter * (2 * random() - 1)), retryAfterMs ?? 0);
}

/** Without a success for so long an endpoint is turned off. */
export const failingForMs = 5 * 24 * hourMs;
