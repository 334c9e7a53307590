import type { CountryCode } from "libphonenumber-js/max";
import { toExcerpt } from "../domain/chat-id.ts";
import { hasAtMost, intakeBounds } from "../domain/intake-bounds.ts";
import type { IncomingContact, Reject } from "../domain/requests/incoming-contact.ts";
import { parseContactId } from "./ids/contact-id.ts";

/** A record as a reader found it: a contact, or what is none. */
export type IntakeRecord =
  | ({ readonly kind: "contact" } & IncomingContact)
  | ({ readonly kind: "reject" } & Reject);

/** The unit of records' numbers: lines of a file, or rows of a query's result or a list. */
export type RecordUnit = "line" | "row";

/** Where a record stands in the input, for its contact or its reject. */
export interface RecordSource {
  readonly line: number;
  readonly text: string;
}

const maxText = 199;
const maxRef = intakeBounds.externalRef;

/** The contact of one record from its two cells, or the reject that says why there is none. */
export function toIntakeRecord(
  source: RecordSource,
  id: string,
  ref: string | undefined,
  defaultCountry: CountryCode | undefined,
): IntakeRecord {
  const parsed = parseContactId(id, defaultCountry);
  if (!parsed.ok) return toReject(source, parsed.reason);
  const externalRef = ref === undefined ? "" : cleanRef(ref);
  if (!hasAtMost(externalRef, maxRef)) {
    return toReject(source, `the external reference is longer than ${maxRef} characters`);
  }
  // A reference that is only almost right would be joined to nothing, or to another contact.
  if (externalRef.includes("\ufffd")) return toReject(source, "the external reference is not UTF-8 text");
  return {
    kind: "contact",
    position: source.line,
    chatId: parsed.chatId,
    externalRef: externalRef === "" ? undefined : externalRef,
  };
}

export function toReject(source: RecordSource, reason: string): IntakeRecord {
  return { kind: "reject", position: source.line, text: toExcerpt(source.text, maxText), reason };
}

function cleanRef(text: string): string {
  // Postgres stores neither NUL nor half a surrogate pair.
  return text.replace(/[\p{Cc}\p{Cs}]+/gu, "").trim();
}
