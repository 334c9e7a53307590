import type { CountryCode } from "libphonenumber-js/max";
import type { ChatId, ChatIdParse } from "../../domain/chat-id.ts";
import { hasAtMost, intakeBounds } from "../../domain/intake-bounds.ts";
import { parseContactId } from "../ids/contact-id.ts";
import { holdsOneAtMost, maxNumbers, parseCell } from "../ids/parse-cell.ts";
import { pickLikeliestMobile } from "../ids/phone.ts";
import { type IntakeRecord, type RecordSource, toReject } from "./intake-record.ts";

/** How numbers become contacts. */
export interface NumberOptions {
  /** Of numbers without a plus; undefined: they are international. */
  readonly defaultCountry: CountryCode | undefined;
  /** One contact of each record: the likeliest mobile. */
  readonly firstNumber: boolean;
}

const maxRef = intakeBounds.externalRef;
/** The fault of a record that says nothing. */
export const noNumber = "no chat id or phone number";
const tooMany = `holds more than ${maxNumbers} numbers: no contact has so many`;

/**
 * The contacts of one record from its cells, each of which may hold several numbers. A number that is there twice counts once.
 * Where no cell has any, the reject that says why. Pure.
 * @param cells best first, blank ones left out: the texts of columns or keys, TELs of a card
 * @param ref the CRM's own id, for all of them
 */
export function toRecords(
  source: RecordSource,
  cells: readonly string[],
  ref: string | undefined,
  options: NumberOptions,
): IntakeRecord[] {
  const [first = ""] = cells;
  // Nearly every record of a large file has one cell with one number: it costs no more than it has to.
  const only =
    cells.length === 1 && holdsOneAtMost(first) ? parseContactId(first, options.defaultCountry) : undefined;
  if (only?.ok) return [toContact(source, only.chatId, ref)];
  const { chatIds, fault } = collectIds(cells, options.defaultCountry, only);
  if (fault !== undefined) return [toReject(source, fault.reason, fault.cell)];
  return toContacts(source, options.firstNumber ? [pickLikeliestMobile(chatIds)] : chatIds, ref);
}

interface Collected {
  /** Distinct, in their order. */
  readonly chatIds: readonly ChatId[];
  /** Why there is none. */
  readonly fault?: { readonly reason: string; readonly cell?: number };
}

/** @param known what the whole of the one cell is, where it was asked */
function collectIds(
  cells: readonly string[],
  defaultCountry: CountryCode | undefined,
  known: ChatIdParse | undefined,
): Collected {
  const chatIds = new Set<ChatId>();
  let fault: Collected["fault"];
  for (const [cell, text] of cells.entries()) {
    const parsed = parseCell(text, defaultCountry, known);
    if (parsed === "too-many") return { chatIds: [], fault: { reason: tooMany, cell } };
    for (const id of parsed) {
      if (id.ok) chatIds.add(id.chatId);
      else fault ??= { reason: id.reason, cell };
    }
    if (chatIds.size > maxNumbers) return { chatIds: [], fault: { reason: tooMany, cell } };
  }
  if (chatIds.size > 0) return { chatIds: [...chatIds] };
  return { chatIds: [], fault: fault ?? { reason: noNumber } };
}

/** The contact of one record that holds one id, or the reject that says why there is none. */
export function toRecord(source: RecordSource, parsed: ChatIdParse): IntakeRecord {
  return parsed.ok ? toContact(source, parsed.chatId, undefined) : toReject(source, parsed.reason);
}

function toContacts(
  source: RecordSource,
  chatIds: readonly ChatId[],
  ref: string | undefined,
): IntakeRecord[] {
  const records = chatIds.map((chatId) => toContact(source, chatId, ref));
  // A fault of the reference is the record's, and told once.
  const fault = records.find(({ kind }) => kind === "reject");
  return fault === undefined ? records : [fault];
}

function toContact(source: RecordSource, chatId: ChatId, ref: string | undefined): IntakeRecord {
  const externalRef = ref === undefined ? "" : cleanRef(ref);
  if (!hasAtMost(externalRef, maxRef)) {
    return toReject(source, `the external reference is longer than ${maxRef} characters`);
  }
  // A reference that is only almost right would be joined to nothing, or to another contact.
  if (externalRef.includes("\ufffd")) return toReject(source, "the external reference is not UTF-8 text");
  return {
    kind: "contact",
    position: source.line,
    chatId,
    externalRef: externalRef === "" ? undefined : externalRef,
  };
}

function cleanRef(text: string): string {
  // Postgres stores neither NUL nor half a surrogate pair.
  return text.replace(/[\p{Cc}\p{Cs}]+/gu, "").trim();
}
