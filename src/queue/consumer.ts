import { settleWithin } from "../lib/deadline.ts";
import type { BullWorker } from "./backend.ts";
import { closeDeadlineMs } from "./deadlines.ts";

/** Something that runs until it is stopped. `stop` may be called twice and ends by its deadline. */
export interface Consumer {
  /** Takes no new job; resolves when those at work have ended, or after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** The jobs that are at work in one consumer. */
export interface ActiveJobs {
  track<T>(job: Promise<T>): Promise<T>;
  allEnded(): Promise<unknown>;
}

const readyDeadlineMs = 1_000;

export function createActiveJobs(): ActiveJobs {
  const jobs = new Set<Promise<unknown>>();
  return {
    track(job) {
      jobs.add(job);
      const forget = () => void jobs.delete(job);
      job.then(forget, forget);
      return job;
    },
    allEnded: () => Promise.allSettled(jobs),
  };
}

/**
 * Takes no new job, waits for those at work up to `graceMs`, and closes the worker's connections either way. Never
 * rejects. BullMQ's own `close()` waits without limit, and a `close(true)` after it is ignored: so we wait first.
 */
export async function stopWorker<Data, Result>(
  worker: BullWorker<Data, Result>,
  active: ActiveJobs,
  graceMs: number,
): Promise<void> {
  // A worker that is closed while it connects leaves the connection to Postgres behind.
  await settleWithin(worker.waitUntilReady(), readyDeadlineMs).catch(() => false);
  await worker.pause(true);
  const haveEnded = await settleWithin(active.allEnded(), graceMs);
  // Disconnected first: closed by force, it would still take one more job, and keep it until its lock expires.
  if (!haveEnded) await settleWithin(worker.disconnect(), closeDeadlineMs).catch(() => false);
  await settleWithin(worker.close(!haveEnded), closeDeadlineMs).catch(() => false);
}
