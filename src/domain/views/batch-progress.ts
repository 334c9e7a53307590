import type { ContactStatus } from "../contact-status.ts";
import type { InstanceId } from "../instance-id.ts";

/** How far a batch is. A member is pending until it has an answer, or has none after all its attempts. */
export interface BatchProgress {
  readonly batchId: string;
  readonly instanceId: InstanceId;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly intakeComplete: boolean;
  readonly pending: number;
  /** Members whose answer was there before they were asked for: they cost no call. */
  readonly fresh: number;
  /** Finished members by the contact's status now. */
  readonly finished: Readonly<Record<ContactStatus, number>>;
}
