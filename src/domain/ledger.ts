import type { Claim, ClaimResult, LookupRecord } from "./claim.ts";
import type { ContactStatus } from "./decide.ts";
import type { Hold } from "./hold.ts";
import type { InstanceId } from "./instance-id.ts";

/** The part of the store that instance runs live on. Every function rejects when Postgres is away. */
export interface RunLedger {
  /**
   * Claims due contacts and reserves a call slot for each, in one statement.
   * @param request.limit contacts at most
   */
  claimDueContacts(request: ClaimRequest): Promise<ClaimResult>;
  /** Reserves slots anew for contacts whose slots went by unused. Undefined: the instance may not be called now. */
  reserveCalls(request: ReserveRequest): Promise<Reservation | undefined>;
  /** Saves finished lookups, each fenced; idempotent, in any order. */
  saveLookups(records: readonly LookupRecord[]): Promise<void>;
  /** Keeps claims alive while their calls are in flight or waiting for their slot. */
  extendClaims(claims: readonly ClaimFence[]): Promise<void>;
  /** Gives unused claims back: due again at once, no attempt spent. */
  releaseClaims(claims: readonly ClaimFence[]): Promise<void>;
  /**
   * Stops calls for the instance, and returns until when. Undefined: nothing has changed, because it is paused, or
   * because the call that reports the trouble was sent before the last hold ran out.
   * @param askedAtMs when that call was sent, by the database's clock
   */
  holdInstance(instanceId: InstanceId, hold: Hold, askedAtMs: number): Promise<Date | undefined>;
  /** The instance has given a good answer after its hold ran out. */
  endHold(instanceId: InstanceId): Promise<void>;
}

export interface ClaimRequest {
  readonly instanceId: InstanceId;
  readonly runId: string;
  /** Who paces: slots next to those of another lane keep a gap. */
  readonly laneId: string;
  readonly limit: number;
}

export interface ReserveRequest {
  readonly instanceId: InstanceId;
  readonly laneId: string;
  readonly calls: number;
}

export type Reservation = Pick<Claim, "slotsFromMs" | "slotsUntilMs" | "databaseNowMs">;

export interface ClaimFence {
  readonly contactId: number;
  readonly runId: string;
}

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

/** An instance as people see it: everything but its token. */
export interface InstanceView {
  readonly id: InstanceId;
  readonly apiUrl: string;
  readonly label: string | undefined;
  readonly requestsPerSecond: number | undefined;
  readonly maxInFlight: number | undefined;
  readonly state: "active" | "held" | "paused";
  readonly heldReason: string | undefined;
  readonly heldSince: Date | undefined;
  readonly heldUntil: Date | undefined;
}

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
