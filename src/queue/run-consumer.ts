import type { InstanceId } from "../domain/instance-id.ts";
import { once } from "../lib/closing/once.ts";
import type { Backend } from "./backend.ts";
import type { RunJobData } from "./names.ts";
import type { Consumer } from "./consumer.ts";
import { createActiveJobs, stopWorker } from "./consumer.ts";

/** Works on one instance. Resolves with true when work remains: the next run is queued behind the others. */
export type RunProcessor = (instanceId: InstanceId, signal: AbortSignal) => Promise<boolean>;

export interface RunConsumerOptions {
  /** Instance runs at the same time in this process. */
  readonly concurrency: number;
  readonly process: RunProcessor;
  /** Queues the next run of an instance. */
  readonly wake: (instanceId: InstanceId) => Promise<unknown>;
}

/** The job of a run whose process died is active for this long. Its instance is not: see worker/lease/watch-leases.ts. */
const lockDurationMs = 15_000;
const stalledIntervalMs = 5_000;
/**
 * A run ends at once when it is told, but has to give its lease back first. With less than that the lease stays taken until it
 * is seen to be dead, and the next worker stands idle meanwhile.
 */
const leastGraceMs = 2_000;

/** Starts taking instance runs. */
export async function startRunConsumer(
  backend: Backend,
  queueName: string,
  { concurrency, process, wake }: RunConsumerOptions,
): Promise<Consumer> {
  /** Each run has one: a signal of ours that outlives them all would remember every run that listened to it. */
  const running = new Set<AbortController>();
  let isStopping = false;
  const active = createActiveJobs();
  const worker = await backend.startWorker<RunJobData, boolean>(
    queueName,
    async (job, _token, signal) => {
      const ending = new AbortController();
      if (isStopping || signal?.aborted) ending.abort();
      running.add(ending);
      signal?.addEventListener("abort", () => ending.abort(), { once: true });
      const run = process(job.data.instanceId, ending.signal).finally(() => running.delete(ending));
      return active.track(run);
    },
    {
      concurrency,
      lockDuration: lockDurationMs,
      stalledInterval: stalledIntervalMs,
      // The default of 1 fails a job for good when its worker has crashed twice.
      maxStalledCount: 1_000_000,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    },
  );
  // Losing the lock does not stop the processor: its signal must be told.
  worker.on("lockRenewalFailed", (jobIds: string[]) => {
    for (const jobId of jobIds) worker.cancelJob(jobId);
  });
  // Only now is the job's id free for its successor.
  worker.on("completed", (job, workRemains) => {
    if (workRemains && !isStopping) void wake(job.data.instanceId);
  });
  return {
    stop: once((graceMs: number) => {
      isStopping = true;
      for (const run of running) run.abort();
      return stopWorker(worker, active, Math.max(graceMs, leastGraceMs));
    }),
  };
}
