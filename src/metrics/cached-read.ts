import { settleWithin } from "../lib/deadline.ts";

export interface CachedReadOptions {
  /** A value younger than this is given again; what failed is tried anew. */
  readonly freshMs: number;
  /** Reading takes at most one part in so many of the time: what is slow is read less often. */
  readonly timeShare: number;
  /** The caller waits no longer than this. */
  readonly deadlineMs: number;
  /** What failed, or took too long, leaves the last value as it was, instead of none. */
  readonly keepsLast: boolean;
  /** A monotonic clock, ms. */
  readonly now: () => number;
}

/**
 * Makes a read that may be asked for as often as anybody likes, by several at once. It never rejects: undefined, or the
 * last value, where `read` fails or the deadline passes.
 */
export function createCachedRead<Value>(
  read: () => Promise<Value>,
  { freshMs, timeShare, deadlineMs, keepsLast, now }: CachedReadOptions,
): () => Promise<Value | undefined> {
  let last: Value | undefined;
  let nextAt = -Infinity;
  let reading: Promise<void> | undefined;

  async function renew(): Promise<void> {
    const startedAt = now();
    let restMs = 0;
    try {
      last = await read();
      restMs = freshMs;
    } catch {
      if (!keepsLast) last = undefined;
    }
    nextAt = startedAt + Math.max(restMs, timeShare * (now() - startedAt));
    reading = undefined;
  }

  return async () => {
    if (reading === undefined && now() < nextAt) return last;
    reading ??= renew();
    const isRead = await settleWithin(reading, deadlineMs);
    return isRead || keepsLast ? last : undefined;
  };
}
