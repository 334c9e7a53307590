import type { ContactStatus } from "../contact-status.ts";

/** One line of a results file. */
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
}
