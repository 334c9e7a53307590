import type { ChatId } from "../chat-id.ts";

/** A contact on its way in. */
export interface IncomingContact {
  readonly chatId: ChatId;
  /** The CRM's own id for this contact. */
  readonly externalRef: string | undefined;
  /**
   * The place in the input. In a file it is the line where the record starts, from 1, after decompression. In the result of a
   * query, a sheet, a list or a job it is the row, in an address book the card, in a JSON array the item, each from 1. In a JSON
   * body it is the index, from 0. Contacts of one record share it.
   */
  readonly position: number;
}

/** A record that is no contact. */
export interface Reject {
  /** The place in the input, as of a contact. */
  readonly position: number;
  /** The place in words, where the position does not say it: the sheet and the cell. */
  readonly place?: string;
  /** The offending line or row: printable, at most 200 characters. */
  readonly text: string;
  readonly reason: string;
}

/** The counts of an input that was read from its first record to its last. */
export interface IntakeCounts {
  /** Records that are contacts, duplicates included. */
  readonly contacts: number;
  readonly rejected: number;
  /** Records that gave more than one contact. */
  readonly several: number;
}
