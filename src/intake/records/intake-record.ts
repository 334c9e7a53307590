import { toExcerpt } from "../../domain/chat-id.ts";
import type { IncomingContact, Reject } from "../../domain/requests/incoming-contact.ts";

/** A record as a reader found it: a contact, or what is none. A line, a row or a card may give several contacts. */
export type IntakeRecord =
  | ({ readonly kind: "contact" } & IncomingContact)
  | ({ readonly kind: "reject" } & Reject);

/** Where a record stands in the input, for its contacts or its reject. */
export interface RecordSource {
  /** The number of its line, row, card or item, from 1. */
  readonly line: number;
  readonly text: string;
  /**
   * The place in words, where a number does not say it: `Kunden!C7`.
   * @param cell the index of the cell that is no contact, among those that were looked at; undefined: the whole record
   */
  readonly placeOf?: (cell: number | undefined) => string;
}

const maxText = 199;

/** @param cell the index of the cell that is at fault, where it is one */
export function toReject(source: RecordSource, reason: string, cell?: number): IntakeRecord {
  const place = source.placeOf?.(cell);
  return {
    kind: "reject",
    position: source.line,
    text: toExcerpt(source.text, maxText),
    reason,
    ...(place !== undefined && { place }),
  };
}
