import type { ChatId } from "../chat-id.ts";
import type { Claim, ClaimResult, SaveReport } from "../lookup/claim.ts";
import type { LookupRecord } from "./lookup-record.ts";
import type { Hold, HoldReason, ProbePolicy } from "../trouble/hold.ts";
import type { InstanceId } from "../instance-id.ts";
import type { Pace } from "../pace/pacer.ts";

/** The part of the store that instance runs live on. Every function rejects when Postgres is away. */
export interface RunLedger {
  /**
   * Claims due contacts and reserves a call slot for each, in one statement.
   * @param request.limit contacts at most
   */
  claimDueContacts(request: ClaimRequest): Promise<ClaimResult>;
  /** Reserves slots anew for contacts whose slots went by unused. Undefined: the instance may not be called now. */
  reserveCalls(request: ReserveRequest): Promise<(Reservation & { readonly pace: Pace }) | undefined>;
  /** Saves finished lookups, each fenced; idempotent, in any order. Waits for no transaction that has a contact locked. */
  saveLookups(records: readonly LookupRecord[]): Promise<SaveReport>;
  /**
   * Keeps claims alive while their calls are in flight, or waiting for their slot, or answered and not saved; also those of
   * contacts that another transaction has locked. None of them must have run out before.
   */
  extendClaims(claims: readonly ClaimFence[]): Promise<void>;
  /** Gives unused claims back: due again at once, no attempt spent. */
  releaseClaims(claims: readonly ClaimFence[]): Promise<void>;
  /** Gives the claim of a probe back, behind others: still due, no attempt spent, and the next probe takes another contact. */
  putOff(claim: ClaimFence, error: string): Promise<void>;
  /**
   * Stops calls for the instance. Undefined: nothing has changed, because it is paused, or because the call that reports
   * the trouble was sent before the last hold ran out.
   * @param askedAtMs when that call was sent, by the database's clock
   */
  holdInstance(instanceId: InstanceId, hold: Hold, askedAtMs: number): Promise<OpenedHold | undefined>;
  /**
   * A probe has told nothing new: the hold goes on for the next, longer interval, under its present reason. Undefined:
   * nothing has changed, as above.
   */
  prolongHold(
    instanceId: InstanceId,
    policy: ProbePolicy,
    askedAtMs: number,
  ): Promise<ProlongedHold | undefined>;
  /**
   * The instance has given a clear answer: its hold is over, and calls begin anew at one a second. `held`: it stays, because
   * the call was sent before it began, or the chat is one of those that may be asked all the same.
   * @param askedAtMs when that call was sent, by the database's clock
   */
  endHold(instanceId: InstanceId, chatId: ChatId, askedAtMs: number): Promise<"ended" | "held" | "not-held">;
  /**
   * The provider refused a call for being over the rate: the instance is called with a wider margin or more slowly from
   * now on, by all processes. Undefined: old news, because the call was sent before the last change.
   * @param askedAtMs when that call was sent, by the database's clock
   */
  throttle(instanceId: InstanceId, refusal: Refusal, askedAtMs: number): Promise<ThrottledPace | undefined>;
  /** Reserves one call of getStateInstance (or getContacts), over all processes. Returns how many ms to wait before it is sent. */
  reserveStateCall(instanceId: InstanceId): Promise<number>;
  /**
   * The reserved call has been answered: from here on the next one counts its second, since it is not known when this one has
   * arrived. Keeps what it said, if anything, for people to see.
   */
  noteState(instanceId: InstanceId, state: string | undefined): Promise<void>;
}

export interface OpenedHold {
  readonly until: Date;
  /** It was not held before. */
  readonly isNew: boolean;
}

export interface ProlongedHold {
  readonly reason: HoldReason;
  readonly until: Date;
  /** Since the hold began. */
  readonly heldForMs: number;
}

/** A call was refused for being over the rate. */
export interface Refusal {
  /** The provider's own limit (HTTP 429), or WhatsApp's for the account (`rate-overlimit`). */
  readonly by: "provider" | "whatsapp";
  readonly retryAfterMs: number | undefined;
}

/** The pace of an instance after a refusal. */
export interface ThrottledPace {
  readonly marginMs: number;
  /** Calls per second from now on; it recovers with time. */
  readonly callsAllowed: number;
  /** The provider said how long to wait. */
  readonly until: Date | undefined;
  /** It goes on refusing although it is called as slowly as it can be: only a hold is left. */
  readonly mustHold: boolean;
}

export interface ClaimRequest {
  readonly instanceId: InstanceId;
  readonly runId: string;
  /** Who paces: slots next to those of another lane keep a gap. */
  readonly laneId: string;
  /** Contacts at most. With 0 nothing is claimed, and the answer tells how the instance is set now. */
  readonly limit: number;
  /** No more contacts than can be called in this time, but one at least: what comes later is claimed at the pace of then. */
  readonly windowMs?: number;
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
