import type { ContactStatus } from "../contact-status.ts";
import type { InstanceId } from "../instance-id.ts";

/** Which contacts a list has. */
export interface ContactFilter {
  /** Undefined: of all instances. */
  readonly instanceIds: readonly InstanceId[] | undefined;
  /** Undefined: whatever their status. */
  readonly statuses: readonly ContactStatus[] | undefined;
  /** Those whose avatar has become another one since then, the latest first. Undefined: all, also those that never changed. */
  readonly changedSince: Date | undefined;
}

/** How many contacts there are of each status, counted as far as {@link mostCounted}. */
export type ContactCounts = Readonly<Record<ContactStatus, number>>;

/** To count all of a million takes a second. That there are as many says enough. */
export const mostCounted = 100_000;
