import { settleWithin } from "../lib/deadline.ts";
import { createSharedReads, type SharedReadsOptions } from "../lib/reads/shared-reads.ts";

export interface CachedReadOptions extends Pick<SharedReadsOptions<unknown>, "timeShare" | "now"> {
  /** A value younger than this is given again, ms; what failed is tried anew. */
  readonly freshMs: number;
  /** The caller waits no longer than this, ms. */
  readonly deadlineMs: number;
  /** What failed, or took too long, leaves the last value as it was, instead of none. */
  readonly keepsLast: boolean;
}

/**
 * Makes a read that may be asked for as often as its callers like, by several at once. It never rejects: undefined, or the
 * last value, where `read` fails or the deadline passes. A failure counts as a reading: `timeShare` holds for it, too.
 */
export function createCachedRead<Value>(
  read: () => Promise<Value>,
  { freshMs, timeShare, deadlineMs, keepsLast, now }: CachedReadOptions,
): () => Promise<Value | undefined> {
  const toFreshMs = (isRead: boolean) => (isRead ? freshMs : 0);
  const share = createSharedReads<boolean>({ timeShare, toFreshMs, maxKeys: 1, now });
  let last: Value | undefined;

  async function renew(): Promise<boolean> {
    try {
      last = await read();
      return true;
    } catch {
      if (!keepsLast) last = undefined;
      return false;
    }
  }

  return async () => {
    const isInTime = await settleWithin(share("", renew), deadlineMs);
    return isInTime || keepsLast ? last : undefined;
  };
}
