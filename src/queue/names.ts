import type { InstanceId } from "../domain/instance-id.ts";

/** BullMQ's own, in Postgres. */
export const bullmqSchema = "bullmq";

/** The queue has one job per instance with due contacts: `{ instanceId }`. Its lock is the lease on the instance. */
export const runsQueueName = "instance-runs";

/** The same for the simulator's instance: real workers have no business with it, nor its worker with real ones. */
export const simulatedRunsQueueName = "simulated-instance-runs";

/** Any BullMQ client may add `{ instanceId, chatIds, priority?, maxAge?, externalRef? }`. */
export const requestsQueueName = "avatar-requests";

export interface RunJobData {
  readonly instanceId: InstanceId;
}

/**
 * The id makes the job a lease: adding it while it waits or is active is ignored. Finished jobs must go at
 * once, because a kept one would go on refusing its successor. Ids may be neither integers nor hold a colon.
 */
export function toRunJob(instanceId: InstanceId) {
  const data: RunJobData = { instanceId };
  return {
    name: "run",
    data,
    opts: { jobId: `instance-${instanceId}`, removeOnComplete: true, removeOnFail: true },
  };
}
