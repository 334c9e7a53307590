/** What the queue reports. */
export interface QueueEvents {
  /** At most once in a while, however often it happens. `code` is stable, no foreign text. */
  queueFailed(fields: { where: string; code: string }): void;
  requestRejected(fields: { jobId: string; reason: string }): void;
}
