import type { BatchReport } from "../../domain/views/batch.ts";
import { sleep as sleepFor } from "../../lib/deadline.ts";
import { createBell } from "./bell.ts";
import { isOver, toBatchVersion } from "./batch-version.ts";

export interface BatchWatchPorts {
  readonly find: (batchId: string) => Promise<BatchReport | undefined>;
  /** A monotonic clock, ms. */
  readonly now?: () => number;
  /** Waits so many ms, or until the signal is aborted. Never rejects. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * The batch now, and again whenever a count has changed, at most once a second. It ends with the batch, or when the signal is
 * aborted.
 */
export type WatchBatch = (
  batchId: string,
  signal: AbortSignal,
) => AsyncGenerator<BatchReport, void, undefined>;

/** A watcher is told no more often, and a batch read no more often. */
const intervalMs = 1_000;
/** A Postgres that restarts is waited for. */
const patienceMs = 30_000;

/** The reads of one batch, shared by all who watch it. */
interface Poll {
  readonly watchers: Set<() => void>;
  readonly stopped: AbortController;
  report: BatchReport | undefined;
  /** Why there are no more reports; `undefined` as its error: there is no such batch any more. */
  end: { readonly error: unknown } | undefined;
}

/**
 * Makes watchers of batches. All watchers of one batch share its reads. The first report comes at once, others when a count
 * or the hold has changed. No report follows that of a batch that is done or cancelled. A read that fails is tried again for
 * half a minute, then the iteration fails with its error.
 */
export function createBatchWatch(ports: BatchWatchPorts): WatchBatch {
  const polls = createPolls(ports);

  return async function* watch(batchId, signal) {
    if (signal.aborted) return;
    const bell = createBell();
    const poll = polls.join(batchId, bell.ring);
    signal.addEventListener("abort", bell.ring);
    try {
      let told: string | undefined;
      while (!signal.aborted) {
        const { report } = poll;
        if (report && toBatchVersion(report) !== told) {
          told = toBatchVersion(report);
          yield report;
        } else if (poll.end) {
          if (poll.end.error !== undefined) throw poll.end.error;
          return;
        } else {
          await bell.rung();
        }
      }
    } finally {
      signal.removeEventListener("abort", bell.ring);
      polls.leave(batchId, poll, bell.ring);
    }
  };
}

/** The polls of this process, one for each batch that is watched. */
interface Polls {
  /** The poll of the batch, begun if it is the first watcher; `wake` is called at each news. */
  join(batchId: string, wake: () => void): Poll;
  /** Ends the poll with its last watcher. */
  leave(batchId: string, poll: Poll, wake: () => void): void;
}

function createPolls({
  find,
  now = performance.now.bind(performance),
  sleep = sleepFor,
}: BatchWatchPorts): Polls {
  const polls = new Map<string, Poll>();

  function end(batchId: string, poll: Poll, error?: unknown): void {
    poll.end = { error };
    if (polls.get(batchId) === poll) polls.delete(batchId);
    for (const wake of poll.watchers) wake();
  }

  async function run(batchId: string, poll: Poll): Promise<void> {
    let failedSince: number | undefined;
    while (!poll.stopped.signal.aborted) {
      const startedAt = now();
      try {
        const report = await find(batchId);
        failedSince = undefined;
        poll.report = report;
        if (report === undefined || isOver(report)) return end(batchId, poll);
        for (const wake of poll.watchers) wake();
      } catch (error) {
        failedSince ??= startedAt;
        if (now() - failedSince >= patienceMs) return end(batchId, poll, error);
      }
      await sleep(Math.max(0, intervalMs - (now() - startedAt)), poll.stopped.signal);
    }
  }

  function join(batchId: string, wake: () => void): Poll {
    const known = polls.get(batchId);
    if (known) {
      known.watchers.add(wake);
      return known;
    }
    const poll: Poll = {
      watchers: new Set([wake]),
      stopped: new AbortController(),
      report: undefined,
      end: undefined,
    };
    polls.set(batchId, poll);
    void run(batchId, poll);
    return poll;
  }

  function leave(batchId: string, poll: Poll, wake: () => void): void {
    poll.watchers.delete(wake);
    if (poll.watchers.size > 0) return;
    if (polls.get(batchId) === poll) polls.delete(batchId);
    poll.stopped.abort();
  }

  return { join, leave };
}
