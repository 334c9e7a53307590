import { DelayedError, UnrecoverableError, type Job } from "bullmq";
import { once } from "../lib/closing/once.ts";
import { UserError } from "../lib/errors.ts";
import type { Backend } from "./backend.ts";
import type { Consumer } from "./consumer.ts";
import type { QueueEvents } from "./queue-events.ts";
import { createActiveJobs, stopWorker } from "./consumer.ts";

/** What became of a request: how many contacts were taken in, and which were not, with the reason. */
export interface RequestResult {
  readonly batchId: string;
  readonly accepted: number;
  readonly duplicates: number;
  /** By their index in the request. All listeners of the queue's events see it: it names no chat. */
  readonly rejected: readonly { readonly index: number; readonly reason: string }[];
}

/**
 * Writes a request to the ledger. When it resolves the contacts are committed.
 * @throws UserError not retryable: the request itself is wrong and is kept as failed, with the reason
 */
export type RequestHandler = (data: unknown) => Promise<RequestResult>;

/**
 * The bounds of a put-off request's wait, ms, which is half of its age. It met a fault of ours, or a contact that another
 * transaction holds. Many that wait for one contact take turns rarely, and leave the consumer to the others.
 */
const retryDelayMs = { least: 5_000, most: 60_000 };
/** Kept for people to look at: bounded, since producers rarely say for how long. */
const keptCompleted = { age: 24 * 3600, count: 1_000 };
const keptFailed = { age: 14 * 24 * 3600, count: 10_000 };

/** The result of a request that was taken in by a process that died before it could say so. */
function toTaken(data: unknown): RequestResult | undefined {
  return typeof data === "object" && data !== null ? (data as { taken?: RequestResult }).taken : undefined;
}

/** Starts taking requests that any BullMQ client has queued. */
export async function startRequestConsumer(
  backend: Backend,
  queueName: string,
  handle: RequestHandler,
  events: QueueEvents,
): Promise<Consumer> {
  const active = createActiveJobs();
  const worker = await backend.startWorker<unknown, RequestResult>(
    queueName,
    async (job, token) => {
      try {
        return toTaken(job.data) ?? (await active.track(take(job)));
      } catch (error) {
        return putOffOrFail(job, token, error);
      }
    },
    {
      concurrency: 4,
      lockDuration: 30_000,
      stalledInterval: 10_000,
      maxStalledCount: 1_000_000,
      removeOnComplete: keptCompleted,
      removeOnFail: keptFailed,
    },
  );

  /** The data kept of a taken request names no chat: contacts are in Postgres, and may be erased there. */
  async function take(job: Job): Promise<RequestResult> {
    const taken = await handle(job.data);
    await job.updateData({ taken });
    return taken;
  }

  async function putOffOrFail(job: Job, token: string | undefined, error: unknown): Promise<never> {
    if (error instanceof UserError && !error.retryable) {
      events.requestRejected({ jobId: job.id ?? "", reason: error.message });
      throw new UnrecoverableError(error.message);
    }
    // Not the request's fault (Postgres is away): spends no attempt, whatever the producer allowed.
    const ageMs = Date.now() - job.timestamp;
    const delayMs = Math.max(retryDelayMs.least, Math.min(retryDelayMs.most, ageMs / 2));
    await job.moveToDelayed(Date.now() + delayMs, token);
    throw new DelayedError();
  }

  return { stop: once((graceMs: number) => stopWorker(worker, active, graceMs)) };
}
