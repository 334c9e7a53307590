import type { ChatId } from "../chat-id.ts";
import type { ContactStatus } from "../contact-status.ts";

/** A contact that is due, as it was read. */
export interface DueContact {
  readonly contactId: number;
  readonly chatId: ChatId;
  /** Calls spent so far. */
  readonly attempts: number;
  readonly past: ContactPast;
}

/** What was known of a contact when it was read: what its next refresh follows from, beside the answer. */
export interface ContactPast {
  readonly status: ContactStatus;
  /** When the first of its answers about an avatar was asked for; undefined: there was none yet. */
  readonly firstSeenAt: Date | undefined;
  /** How many of the answers since then differed from the one before. */
  readonly changes: number;
  /** The avatar that was seen last, by its version or image (avatar-version.ts); undefined: there was none, or none was ever seen. */
  readonly version: string | undefined;
  /** What its last refresh was worth (refresh-step.ts); undefined: it had none. */
  readonly refreshStep: number | undefined;
}
