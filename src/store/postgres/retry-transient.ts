import { sleep } from "../../lib/deadline.ts";
import { LockedError } from "../../lib/errors.ts";
import { codeOf, isTransient } from "./database.ts";
import { lockNotAvailable } from "./sqlstate.ts";

export interface RetryLimits {
  readonly maxRetries: number;
  /** No try begins later than this after the first one. */
  readonly limitMs: number;
}

/** Tries for half a minute in all: a restart of the server does not end an import. */
export const patiently: RetryLimits = { maxRetries: 8, limitMs: 30_000 };
/** Tries for as long as a caller can wait for an answer. After that the caller may try again. */
export const briefly: RetryLimits = { maxRetries: 8, limitMs: 2_000 };

/** Tries once: the caller has other work to do, and comes again. */
export const once: RetryLimits = { maxRetries: 0, limitMs: 0 };

/**
 * Tries again after a deadlock, a lost connection, a restart of the server, or a lock that another transaction holds. In
 * between, the connection is free for others.
 * @throws LockedError when that transaction does not end
 */
export async function retryTransient<T>(
  { maxRetries, limitMs }: RetryLimits,
  attempt: () => Promise<T>,
): Promise<T> {
  const startedAt = performance.now();
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      const delayMs = Math.min(8_000, 50 * 2 ** tries);
      const isLate = performance.now() - startedAt + delayMs > limitMs;
      if (tries > maxRetries || isLate || !isTransient(error)) {
        throw codeOf(error) === lockNotAvailable ? new LockedError({ cause: error }) : error;
      }
      await sleep(delayMs);
    }
  }
}
