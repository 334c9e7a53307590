import type { ChatId } from "../chat-id.ts";
import type { Arrivals, DueRequest, HeldWish, QueuedContact } from "./due-queue.ts";
import type { HandOver, HeldLease, LeaseResult, Renewal, Renewals, SeenLease } from "./lease.ts";
import type { LookupRecord } from "./lookup-record.ts";
import type { Hold, HoldReason, ProbePolicy } from "../trouble/hold.ts";
import type { InstanceId } from "../instance-id.ts";
import type { CallsBefore } from "../pace/after-refusal.ts";

/** The part of the store that instance runs live on. Every function rejects when Postgres is away. */
export interface RunLedger {
  /**
   * Takes the lease of an instance, where it is free and the instance may be called.
   * @param owner the process
   */
  takeLease(instanceId: InstanceId, owner: string): Promise<LeaseResult>;
  /** Renews the leases of a process, all at once. */
  renewLeases(owner: string, held: readonly HeldLease[]): Promise<Renewals>;
  /** Looks how the instance of a lease is set now, and waits for no lock. `lost`: it belongs to another process by now. */
  lookAtLease(owner: string, lease: Pick<HeldLease, "instanceId" | "epoch">): Promise<Renewal>;
  /** Gives a lease back. One that belongs to another process by now is left alone. */
  handOver(owner: string, lease: HandOver): Promise<void>;
  /** Leases of other processes. */
  listLeases(owner: string): Promise<readonly SeenLease[]>;
  /** Ends leases that are still as they were seen. Returns the instances that are free now. */
  endDeadLeases(dead: readonly SeenLease[]): Promise<readonly InstanceId[]>;
  /** Reads queues, each onward from its place: for each request what it has found, in order. Writes and locks nothing. */
  readDue(requests: readonly DueRequest[]): Promise<QueuedContact[][]>;
  /**
   * Due contacts of a held instance that may be asked all the same, or would be a probe, in any queue, the most urgent first.
   * @param but contacts to leave out
   */
  readHeld(
    instanceId: InstanceId,
    wish: HeldWish,
    but: readonly number[],
    limit: number,
  ): Promise<QueuedContact[]>;
  /**
   * What has become due, or more urgent, since a look before. Some is told again.
   * @param horizon of that look; undefined: nothing is told yet
   */
  readArrivals(horizon: string | undefined): Promise<Arrivals>;
  /** Tells the holders of leases to look at all queues of these instances anew. */
  noteArrivals(instanceIds: readonly InstanceId[]): Promise<void>;
  /** Saves finished lookups, each fenced; idempotent, in any order. Waits for no transaction that has a contact locked. */
  saveLookups(records: readonly LookupRecord[]): Promise<SaveReport>;
  /** Puts the contact of a probe behind others: still due, no attempt spent, and the next probe takes another contact. */
  putOff(asked: AskedContact, error: string): Promise<void>;
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
   * the call was sent before it began, or the chat is one of those that may be asked all the same, by its id or its kind.
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
  /** What became of the calls of the second before it. */
  readonly before: CallsBefore;
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

/** A contact that was asked for, and the lease under which it was. */
export interface AskedContact {
  readonly contactId: number;
  readonly epoch: number;
}

/** Records that were not written to their contacts, by contact id, since another transaction has these locked. */
export interface SaveReport {
  /** Kept in the ledger, and written by the next sweep that finds the contact free; no lease asks for it until then. */
  readonly setAside: ReadonlySet<number>;
  /** The contact is being erased: to be saved again, in case it is not. */
  readonly left: ReadonlySet<number>;
  /** Saved, and the image of the avatar is to be taken: at once, since its URL dies. A process that does not leaves it to a task. */
  readonly imageWanted: ReadonlySet<number>;
  /** The call has failed, but the contact was asked for anew meanwhile: it is due as if it had not been called. Undefined: none. */
  readonly askedAnew?: ReadonlySet<number>;
}
