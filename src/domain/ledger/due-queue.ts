import type { ChatId } from "../chat-id.ts";
import type { ChatKind } from "../chat-kind.ts";
import type { InstanceId } from "../instance-id.ts";
import type { DueContact } from "../lookup/due-contact.ts";

/**
 * Due contacts wait in two queues for each priority. Those that wait for their first lookup go by turns; those in a backoff, or
 * back from it, by the moment that they are due at. Within a priority the latter come first.
 */
export const priorities = [0, 1, 2] as const;

/** The priority of what a person waits for. */
export const interactive = 0;

/** A place in a queue: of `by`, a turn or a moment in µs of the epoch, and of contacts with the same one. */
export interface Place {
  readonly by: number;
  readonly contactId: number;
}

/** A contact in its queue. */
export interface QueuedContact extends DueContact {
  readonly priority: number;
  /** It waits for its turn; false: it goes by `due_at`. */
  readonly isTurned: boolean;
  readonly place: Place;
  /** When it became due, µs of the epoch. */
  readonly dueAtUs: number;
}

/** A look at one queue of an instance. */
export interface DueRequest {
  readonly instanceId: InstanceId;
  readonly priority: number;
  readonly isTurned: boolean;
  /** Only what comes after this place. */
  readonly after: Place;
  readonly limit: number;
}

/** The contacts that may be asked while an instance is held: of the chats that are named, or of one kind of chat, or not of it. */
export type HeldWish = { readonly chatIds: readonly ChatId[] } | KindWish;

/** Contacts of one kind of chat, or of all others. */
export interface KindWish {
  readonly kind: ChatKind;
  readonly isOf: boolean;
}

/** Contacts have become due, or more urgent. */
export interface Arrival {
  readonly id: number;
  readonly instanceId: InstanceId;
  /** Undefined: any. */
  readonly priority: number | undefined;
  /** None of their turns is below; undefined: they go by `due_at`, or it is not known. */
  readonly turn: number | undefined;
}

/** What has arrived since a look before. */
export interface Arrivals {
  /** To be given with the next look. */
  readonly horizon: string;
  readonly arrivals: readonly Arrival[];
}
