import type { ContactStatus } from "../contact-status.ts";
import type { InstanceId } from "../instance-id.ts";
import type { ContactImage } from "./contact-image.ts";

/** A line of a results file. */
export interface ResultRow {
  readonly instanceId: string;
  readonly chatId: string;
  readonly externalRef: string | undefined;
  readonly status: ContactStatus;
  readonly avatarUrl: string | undefined;
  readonly urlExpiresAt: Date | undefined;
  readonly checkedAt: Date | undefined;
  readonly attempts: number;
  readonly lastError: string | undefined;
  readonly image: ContactImage;
  /** Of a batch: the line, row, card or item of its input where the contact first stood; its index in a JSON request. */
  readonly position: number | undefined;
}

/** The results that are read; undefined does not narrow them. */
export interface ResultFilter {
  readonly instanceId?: InstanceId | undefined;
  readonly batchId?: string | undefined;
  readonly statuses?: readonly ContactStatus[] | undefined;
}
