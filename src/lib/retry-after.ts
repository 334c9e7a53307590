/** No server means more; a wrong clock or unit at its end may say so. */
const maxRetryAfterMs = 3_600_000;

/**
 * The wait in ms that a Retry-After header asks for (RFC 9110, 10.2.3: seconds, or an HTTP date). It is 0 for a date that has
 * passed, and one hour at most. Undefined where there is no header, or it makes no sense.
 */
export function parseRetryAfter(
  header: string | readonly string[] | undefined,
  now: Date,
): number | undefined {
  const value = (typeof header === "string" ? header : header?.[0])?.trim() ?? "";
  const waitMs = /^\d+(\.\d+)?$/.test(value) ? Math.ceil(Number(value) * 1000) : toWaitMs(value, now);
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), maxRetryAfterMs);
}

function toWaitMs(value: string, now: Date): number {
  // Date.parse reads nearly anything; an HTTP date begins with a weekday and is in GMT.
  const isHttpDate = /^(mon|tue|wed|thu|fri|sat|sun)[a-z]*, .*\bgmt$/i.test(value);
  return isHttpDate ? Date.parse(value) - now.getTime() : Number.NaN;
}
