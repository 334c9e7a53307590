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
  /** Held for a spent quota: only these may be asked. Undefined: any may. */
  readonly allowedChatIds: readonly ChatId[] | undefined;
}

/** Why an instance may not be called. `throttled`: the provider said how long to wait. `busy`: another process holds the lease. */
export type LeaseRefusal = "held" | "throttled" | "paused" | "gone" | "busy";

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
