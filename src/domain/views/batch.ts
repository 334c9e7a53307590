import type { ContactImage } from "./contact-image.ts";
import type { ContactStatus } from "../contact-status.ts";
import type { ChatId } from "../chat-id.ts";
import type { InstanceId } from "../instance-id.ts";

/** An answer younger than this is fresh enough, unless the request says otherwise: 7 days, ms. */
export const defaultMaxAgeMs = 7 * 24 * 3600 * 1000;

/**
 * `incomplete`: its input was not read to its end, because it still arrives or was cut off. `working`: contacts wait for
 * answers. `done`: no contact waits. `cancelled`: no contact waits any more, with or without an answer.
 */
export const batchStates = ["incomplete", "working", "done", "cancelled"] as const;
export type BatchState = (typeof batchStates)[number];

/** A batch without what has to be counted. */
export interface BatchSummary {
  readonly batchId: string;
  readonly instanceId: InstanceId;
  readonly state: BatchState;
  /** The way in: `file`, `query`, `instance`, `sql`, `bullmq`, `api`, `refresh`. */
  readonly source: string;
  readonly label: string | undefined;
  readonly priority: number;
  readonly callbackUrl: string | undefined;
  readonly requestedAt: Date;
  /** An answer asked for at or after this moment is fresh enough. */
  readonly freshAfter: Date;
  /** Distinct contacts. */
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly completedIntakeAt: Date | undefined;
  /** The moment when it was first seen that no contact waits any more. */
  readonly finishedAt: Date | undefined;
  readonly cancelledAt: Date | undefined;
}

/** The batches that are listed. */
export interface BatchFilter {
  /** The instances whose batches are listed; undefined: all. */
  readonly instanceIds: readonly InstanceId[] | undefined;
  readonly states: readonly BatchState[] | undefined;
  /** True: refreshes of one contact, and chats that signals named, are listed too. */
  readonly withRefreshes: boolean;
}

/** A batch with all its counts; accepted = pending + cancelled + erased + the sum of `finished`. */
export interface BatchReport extends BatchSummary {
  readonly pending: number;
  /** The members of `finished` whose answer was there before they were asked for: they cost no call. */
  readonly fresh: number;
  /** Members that a cancellation gave up before they were answered. */
  readonly cancelled: number;
  /** Members whose contacts were erased since. */
  readonly erased: number;
  /** Finished members by the status of their contact now. */
  readonly finished: Readonly<Record<ContactStatus, number>>;
  /** Calls of its instance, by all workers now. */
  readonly callsPerSecond: number;
  /** The time until no member waits, ms, if all goes on as now. Undefined where it does not go on or cannot be told. */
  readonly etaMs: number | undefined;
  /** The reason why it does not go on: its instance is held or paused, or the provider lets it wait. */
  readonly held: BatchHold | undefined;
}

export interface BatchHold {
  readonly instanceId: InstanceId;
  readonly state: "held" | "paused" | "throttled";
  /** The reason of a hold, as docs/outcomes.md lists them. */
  readonly reason: string | undefined;
  readonly since: Date | undefined;
  readonly until: Date | undefined;
}

/** The fate of one contact of a batch. */
export interface BatchItem {
  readonly contactId: number;
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
  /** The line, or the index in the request, where the contact first stood. */
  readonly position: number;
  /** `pending`: waits for its answer. `cancelled`: given up before it. Else the contact's status. */
  readonly status: ContactStatus | "pending" | "cancelled";
  readonly avatarUrl: string | undefined;
  readonly urlExpiresAt: Date | undefined;
  readonly checkedAt: Date | undefined;
  readonly attempts: number;
  readonly lastError: string | undefined;
  readonly image: ContactImage;
}

export const itemStatuses = [
  "present",
  "absent",
  "hidden",
  "invalid",
  "unreachable",
  "unknown",
  "pending",
  "cancelled",
] as const satisfies readonly BatchItem["status"][];

/** The meaning of a new request for one contact: a call, a fresh answer, or nothing, since it stands twice. */
export type AcceptedAs = "queued" | "fresh" | "duplicate";
