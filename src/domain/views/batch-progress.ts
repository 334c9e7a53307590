import type { BatchReport } from "./batch.ts";

/**
 * The progress of a batch, as `--json` of the command line promises it. A member is pending until it has an answer, or has
 * none after all its attempts.
 */
export interface BatchProgress extends Pick<
  BatchReport,
  "batchId" | "instanceId" | "accepted" | "duplicates" | "rejected" | "pending" | "fresh" | "finished"
> {
  readonly intakeComplete: boolean;
}
