import type { InstanceId } from "../domain/instance-id.ts";

/** BullMQ's own, in Postgres. */
export const bullmqSchema = "bullmq";

/** The queue has one job per instance with due contacts: `{ instanceId }`. It says who should work on it; the lease in Postgres, who may. */
export const runsQueueName = "instance-runs";

/** The same for the simulator's instance: real workers have no business with it, nor its worker with real ones. */
export const simulatedRunsQueueName = "simulated-instance-runs";

/** Any BullMQ client may add `{ instanceId, chatIds, priority?, maxAge?, externalRef? }`. */
export const requestsQueueName = "avatar-requests";

export interface RunJobData {
  readonly instanceId: InstanceId;
}

/**
 * The id makes the job the only one of its instance: adding it while it waits or is active is ignored. Finished jobs must go at
 * once, because a kept one would go on refusing its successor. Ids may be neither integers nor hold a colon.
 * @param mark another one makes another job: that of a dead process is active until BullMQ finds it stalled
 */
export function toRunJob(instanceId: InstanceId, mark?: string) {
  const data: RunJobData = { instanceId };
  const jobId = mark === undefined ? `instance-${instanceId}` : `instance-${instanceId}-${mark}`;
  return { name: "run", data, opts: { jobId, removeOnComplete: true, removeOnFail: true } };
}
