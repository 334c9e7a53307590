import type { ChatKind } from "../chat-kind.ts";
import type { ChatId } from "../chat-id.ts";
import type { InstanceId } from "../instance-id.ts";

/** An instance as its lease's last renewal has found it: a change takes effect within about a second. */
export interface LeasedInstance {
  readonly apiUrl: string;
  readonly sealedToken: string;
  /** Calls per second now: its rate, or less after refusals and after a hold. */
  readonly requestsPerSecond: number;
  /** Kept on top of each full second of calls. */
  readonly marginMs: number;
  /** Undefined: derived from the rate and the time that answers take. */
  readonly maxInFlight: number | undefined;
  /** The hold has run out and nothing has proved yet that the instance works: one call at a time. */
  readonly probing: boolean;
  /** Held for one kind of chat: others may be asked; one of these as a probe, once the hold has run out. Undefined: for none, or for all. */
  readonly heldKind: { readonly kind: ChatKind; readonly mayProbe: boolean } | undefined;
  /** Held for a spent quota: only these may be asked. Undefined: any may. */
  readonly allowedChatIds: readonly ChatId[] | undefined;
  /** Quiet hours, from which single contacts that a person asks for are excepted: only these may be asked. */
  readonly interactiveOnly: boolean;
}

/**
 * Why an instance may not be called. `throttled`: the provider said how long to wait. `quiet`: its quiet hours; `capped`: its calls of
 * the day are used up. `busy`: another process holds the lease.
 */
export type LeaseRefusal = "held" | "throttled" | "paused" | "quiet" | "capped" | "gone" | "busy";

/** Calls of one day, `2026-03-29`. */
export interface DayCalls {
  readonly day: string;
  readonly calls: number;
}

/** What an instance's care leaves to the holder of its lease, until a renewal tells more. */
export interface Allowance {
  /** The calls that may leave on a day under this lease, all together; they count in the ledger already. Undefined: there is no cap. */
  readonly grant: DayCalls | undefined;
  /** Nothing leaves so long after: another day begins then, or quiet hours do. ms; Infinity: neither does. */
  readonly endsInMs: number;
}

/**
 * The right to call one instance. Moments are ms by the database's clock. It may have been set since the last lease was given back: what
 * that has left is known only by how long before, or after, that was.
 */
export interface TakenLease {
  readonly kind: "taken";
  readonly epoch: number;
  readonly instance: LeasedInstance;
  /** No call before this moment, which the last lease has left. */
  readonly callsFromMs: number;
  /** When the last calls under that lease left, as far as they may count. */
  readonly recentCallsMs: readonly number[];
  /** When it was given back; undefined: it ended otherwise, and long enough ago. */
  readonly handedOverAtMs: number | undefined;
  readonly databaseNowMs: number;
  /** Undefined: the instance has no care. */
  readonly allowance?: Allowance | undefined;
}

export type LeaseResult = TakenLease | { readonly kind: LeaseRefusal };

/** A lease that a process holds, and what it has done since the last renewal. */
export interface HeldLease {
  readonly instanceId: InstanceId;
  readonly epoch: number;
  /** Calls since the last renewal: the margin shrinks with them. */
  readonly calls: number;
  /** How far the turns of each priority have come, by priority. */
  readonly turns: readonly [number, number, number];
  /** The calls that have left under this lease on the day that was granted last. Undefined: none was granted. */
  readonly spent?: DayCalls | undefined;
}

/**
 * What became of one lease at a renewal. `kept`: another transaction has the row locked, so that it was not renewed this time;
 * `lost`: it belongs to this process no more.
 */
export type Renewal =
  | { readonly instanceId: InstanceId; readonly kind: "kept" }
  | { readonly instanceId: InstanceId; readonly kind: "lost" }
  | {
      readonly instanceId: InstanceId;
      readonly kind: "renewed";
      readonly instance: LeasedInstance;
      /** Why it may not be called any more, although the lease goes on. */
      readonly refusal: Exclude<LeaseRefusal, "gone" | "busy"> | undefined;
      /** Undefined: the instance has no care. A look tells none. */
      readonly allowance?: Allowance | undefined;
    };

export interface Renewals {
  readonly leases: readonly Renewal[];
  readonly databaseNowMs: number;
}

/** What a lease leaves to the next one. Told by how long before, or after, the lease ends: no two clocks must agree. */
export interface HandOver extends HeldLease {
  /** No call of the next lease is sent before so long after. */
  readonly nextCallInMs: number;
  /** So long before, the last calls left. */
  readonly recentAgesMs: readonly number[];
  /** Contacts whose calls under this lease are in flight, or whose records are not saved yet: the next lease leaves them alone. */
  readonly inFlight: readonly number[];
}

/** A lease of another process, as it was seen. Any renewal changes its mark. */
export interface SeenLease {
  readonly instanceId: InstanceId;
  readonly epoch: number;
  readonly mark: string;
}
