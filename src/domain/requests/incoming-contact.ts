import type { ChatId } from "../chat-id.ts";

/** A contact on its way in. */
export interface IncomingContact {
  readonly chatId: ChatId;
  /** The CRM's own id for this contact. */
  readonly externalRef: string | undefined;
  /**
   * Where it stands in its input. Of a file, from 1, the line where the record starts, in the decompressed text; of a query's
   * result, a list or a job, from 1, its row; of a JSON body, from 0, its index.
   */
  readonly position: number;
}

/** A record that is no contact. */
export interface Reject {
  /** As of a contact. */
  readonly position: number;
  /** The offending line or row: printable, at most 200 characters. */
  readonly text: string;
  readonly reason: string;
}

/** What was read of an input, from its first record to its last. */
export interface IntakeCounts {
  /** Records that are contacts, duplicates included. */
  readonly contacts: number;
  readonly rejected: number;
}
