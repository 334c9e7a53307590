import { randomUUID } from "node:crypto";
import type { InstanceId } from "../domain/instance-id.ts";
import type { Backend, BackendOptions, BullQueue } from "./backend.ts";
import { forgetInRequests, type JobContents, type JobFate } from "./forget-requests.ts";
import { startRequestConsumer, type RequestHandler } from "./request-consumer.ts";
import { startRunConsumer, type RunProcessor } from "./run-consumer.ts";
import { requestsQueueName, runsQueueName, simulatedRunsQueueName, toRunJob } from "./names.ts";
import { openBackend } from "./open-backend.ts";
import type { QueueEvents } from "./queue-events.ts";
import type { Consumer } from "./consumer.ts";

/** BullMQ, on the backend that was chosen. */
export interface Queues {
  readonly backend: "postgres" | "redis";
  /**
   * Queues an instance run for each, unless one is waiting or active already. Never rejects: a wake-up that
   * is lost is made up for by the sweep.
   * @param after the job of a process that has died does not count as active
   */
  wakeInstances(ids: readonly InstanceId[], after?: "dead-lease"): Promise<void>;
  /** Does any instance wait for its run? Never rejects: where that is not known it might be. */
  runsWait(): Promise<boolean>;
  /** Does the server behind the queue answer? Never rejects. */
  isReachable(): Promise<boolean>;
  consumeRuns(options: { concurrency: number; process: RunProcessor }): Promise<Consumer>;
  consumeRequests(options: { handle: RequestHandler }): Promise<Consumer>;
  /**
   * Takes out of all requests in the queue `avatar-requests` what `judge` says, whether they wait, failed, or are done. Removes
   * the queue's events that have `text` in them, where there is one.
   * @throws UserError `queue-unreachable`
   */
  forgetInRequests(text: string | undefined, judge: (job: JobContents) => JobFate): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the queue `instance-runs` for adding.
 * @throws UserError `queue-unreachable`, `queue-not-migrated`
 */
export async function openQueues(
  options: BackendOptions & { readonly simulated?: boolean },
  events: QueueEvents,
): Promise<Queues> {
  const backend: Backend = await openBackend(options, events);
  const queueName = options.simulated ? simulatedRunsQueueName : runsQueueName;
  const runs = await backend.openProducer(queueName);

  let requests: Promise<BullQueue> | undefined;
  /** Few processes ever need it, and in Postgres it has connections of its own. */
  const openRequests = async () => {
    requests ??= backend.openProducer(requestsQueueName, { isOurs: false }).catch((error: unknown) => {
      requests = undefined;
      throw error;
    });
    return requests;
  };

  return {
    backend: backend.kind,
    async wakeInstances(ids, after) {
      if (ids.length === 0) return;
      const mark = after && `after-${randomUUID()}`;
      await backend.attempt("wake instances", () => runs.addBulk(ids.map((id) => toRunJob(id, mark))));
    },
    async runsWait() {
      let waiting = 1;
      await backend.attempt("count waiting runs", async () => {
        waiting = await runs.getWaitingCount();
      });
      return waiting > 0;
    },
    isReachable: () => backend.attempt("ask the queue", () => runs.getWaitingCount()),
    consumeRuns: ({ concurrency, process }) => {
      const wake = (id: InstanceId) =>
        backend.attempt("queue the next run", () => runs.addBulk([toRunJob(id)]));
      return startRunConsumer(backend, queueName, { concurrency, process, wake });
    },
    consumeRequests: ({ handle }) => startRequestConsumer(backend, requestsQueueName, handle, events),
    async forgetInRequests(text, judge) {
      const queue = await openRequests();
      await forgetInRequests(queue, judge);
      if (text !== undefined) await backend.forgetEvents(queue, text);
    },
    close: () => backend.close(),
  };
}
