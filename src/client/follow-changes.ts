import { ApiProblem } from "./api-problem.ts";
import type { Timing } from "./call-options.ts";
import { toRetryDelayMs } from "./http/retry-timing.ts";
import { defaultPatienceMs, type FollowOptions } from "./watch-batch.ts";
import type { AvatarChanges } from "./wire.ts";

export interface ChangesOptions extends FollowOptions {
  /** `next` of the last page that was worked off; without it from the first change that there ever was. */
  readonly cursor?: string | undefined;
  /** Only of this instance. */
  readonly instanceId?: string | undefined;
  /** Changes of one page at most, up to 1000. */
  readonly limit?: number | undefined;
  /** Between one question and the next when there was nothing more, ms; 5 s by default. */
  readonly pollMs?: number | undefined;
}

/** Asks for one page, with a single try. */
export type ReadChanges = (query: {
  readonly cursor: string | undefined;
  readonly instanceId: string | undefined;
  readonly limit: number | undefined;
  readonly signal: AbortSignal | undefined;
}) => Promise<AvatarChanges>;

const defaultPollMs = 5_000;

/**
 * Reads the feed of changes on and on; a page is given whenever the cursor has moved, and may be empty.
 * @throws ApiProblem, also when the server was away for longer than the patience; the reason of an aborted signal
 */
export async function* followChanges(
  readChanges: ReadChanges,
  timing: Timing,
  options: ChangesOptions = {},
): AsyncGenerator<AvatarChanges, never, undefined> {
  const { signal, instanceId, limit, pollMs = defaultPollMs, patienceMs = defaultPatienceMs } = options;
  let { cursor } = options;
  let failures = 0;
  let failingSince: number | undefined;
  for (;;) {
    signal?.throwIfAborted();
    let delayMs: number;
    try {
      const page = await readChanges({ cursor, instanceId, limit, signal });
      failures = 0;
      failingSince = undefined;
      if (page.next !== cursor) {
        ({ next: cursor } = page);
        yield page;
      }
      delayMs = page.more ? 0 : pollMs;
    } catch (error) {
      if (!(error instanceof ApiProblem) || !error.retryable) throw error;
      failures += 1;
      failingSince ??= timing.now();
      delayMs = toRetryDelayMs(failures, error.retryAfterMs, timing.random) ?? Infinity;
      if (timing.now() - failingSince + delayMs > patienceMs) throw error;
    }
    if (delayMs > 0) await timing.sleep(delayMs, signal);
  }
}
