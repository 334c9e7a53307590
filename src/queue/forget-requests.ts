import type { Job, JobType } from "bullmq";
import type { BullQueue } from "./backend.ts";

/** What is to become of a job of the queue `avatar-requests`. */
export type JobFate =
  | { readonly kind: "untouched" }
  | { readonly kind: "reduced"; readonly data: unknown }
  | { readonly kind: "nothing" };

export interface JobContents {
  readonly data: unknown;
  /** Its id, name, result and errors, which cannot be rewritten, once it is over; undefined before. */
  readonly rest: unknown;
}

/**
 * The order is that in which jobs move on: one that moves meanwhile is met at its next place. `delayed` comes twice, since a
 * job goes back there.
 */
const states = [
  "delayed",
  "waiting",
  "prioritized",
  "active",
  "delayed",
  "failed",
  "completed",
] as const satisfies readonly JobType[];
const pageSize = 50;

/**
 * Goes through all requests of the queue, and takes out of each what `judge` says. A request that is at work may still be taken
 * in, as one that comes a moment later is.
 */
export async function forgetInRequests(
  queue: BullQueue,
  judge: (job: JobContents) => JobFate,
): Promise<void> {
  for (const state of states) {
    const jobs = await queue.getJobCountByTypes(state);
    // From the newest to the oldest: the oldest may be taken away meanwhile, and move no other out of sight.
    for (let end = jobs - 1; end >= 0; end -= pageSize) {
      const page = await queue.getJobs([state], Math.max(0, end - pageSize + 1), end, true);
      for (const job of page) await forgetInJob(queue, job, state, judge);
    }
  }
}

async function forgetInJob(
  queue: BullQueue,
  job: Job | undefined,
  state: JobType,
  judge: (job: JobContents) => JobFate,
): Promise<void> {
  // The job went away since the list was read.
  if (job?.id === undefined) return;
  const { id, name, returnvalue, failedReason, stacktrace } = job;
  const isOver = state === "failed" || state === "completed";
  const rest: unknown = isOver ? { id, name, returnvalue, failedReason, stacktrace } : undefined;
  const fate = judge({ data: job.data, rest });
  if (fate.kind === "untouched") return;
  try {
    if (fate.kind === "nothing" && (await wasRemoved(job))) return;
    await job.updateData(fate.kind === "reduced" ? fate.data : {});
  } catch (error) {
    if (await queue.getJob(id)) throw error;
  }
}

/** A job at work is locked: it loses its data alone, and goes when it ends. */
async function wasRemoved(job: Job): Promise<boolean> {
  return job.remove().then(
    () => true,
    () => false,
  );
}
