import type { ChatId } from "../chat-id.ts";
import type { ContactStatus } from "../contact-status.ts";

/** A contact that this instance run may call for, until its claim expires. */
export interface ClaimedContact {
  readonly contactId: number;
  readonly chatId: ChatId;
  /** Calls spent so far. */
  readonly attempts: number;
  readonly past: ContactPast;
}

/** What was known of a contact when it was claimed: what its next refresh follows from, beside the answer. */
export interface ContactPast {
  readonly status: ContactStatus;
  /** When the first of its answers about an avatar was asked for; undefined: there was none yet. */
  readonly firstSeenAt: Date | undefined;
  /** How many of the answers since then differed from the one before. */
  readonly changes: number;
  /** The avatar that was seen last; undefined: none is set, or none was ever seen. */
  readonly version: string | undefined;
  /** What its last refresh was worth (refresh-step.ts); undefined: it had none. */
  readonly refreshStep: number | undefined;
}

/** The instance as it stood when the claim was made: a change takes effect with the next claim. */
export interface ClaimedInstance {
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
}

/**
 * Due contacts, with as many call slots reserved for them. Moments are in ms by the database's clock.
 */
export interface Claim {
  readonly instance: ClaimedInstance;
  readonly contacts: readonly ClaimedContact[];
  /** The first reserved slot. */
  readonly slotsFromMs: number;
  /** The end of the last reserved slot: nothing may be sent after it without a new reservation. */
  readonly slotsUntilMs: number;
  /** The database's clock when it answered. */
  readonly databaseNowMs: number;
}

/** Why nothing may be claimed. `idle`: nothing is due now; `throttled`: the provider said how long to wait. */
export type ClaimRefusal = "idle" | "held" | "throttled" | "paused" | "gone";

export type ClaimResult =
  | { readonly kind: "claimed"; readonly claim: Claim }
  | { readonly kind: ClaimRefusal };

/** Records that were not written to their contacts, by contact id, since another transaction has these locked. */
export interface SaveReport {
  /** Kept in the ledger, and written by the next sweep that finds the contact free; no run asks for it until then. */
  readonly setAside: ReadonlySet<number>;
  /** The contact is being erased: to be saved again, in case it is not. */
  readonly left: ReadonlySet<number>;
  /** Saved, and the image of the avatar is to be taken: at once, since its URL dies. A process that does not leaves it to a task. */
  readonly imageWanted: ReadonlySet<number>;
}
