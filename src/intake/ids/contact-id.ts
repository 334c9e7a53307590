import type { CountryCode } from "libphonenumber-js/max";
import { type ChatIdParse, parseChatId, toExcerpt } from "../../domain/chat-id.ts";
import { parsePhone } from "./phone.ts";

/** A number with all its punctuation, or the longest id with its device, takes half of it. */
const maxLength = 100;
/** Long enough for a link with a prefilled message. */
const maxLinkLength = 1000;

const linkToChat =
  /^(?:https?:\/\/|whatsapp:\/\/)?(?:www\.)?(?:wa\.me\/|(?:(?:api|web)\.whatsapp\.com\/)?send\/?\?(?:[^#]*&)?phone=)(?:\+|%2b)?(\d+)(?![\d%])/i;

/**
 * Reads a cell of a contact file's id column: a chat id in any spelling, or a phone number. Also takes the forms of
 * spreadsheets (`="7900…"`, `'+7900…`, `79001234567.0`) and of links (`tel:`, `whatsapp:`, `https://wa.me/…`).
 */
export function parseContactId(text: string, defaultCountry: CountryCode | undefined): ChatIdParse {
  if (text.length > maxLength) return parseLong(text, defaultCountry);
  if (text.includes("@")) {
    const parsed = parseChatId(text);
    if (parsed.ok) return parsed;
  }
  const cell = cleanCell(text);
  if (cell === "") return { ok: false, reason: "empty" };
  if (cell.includes("\ufffd")) return { ok: false, reason: "not UTF-8 text" };
  if (cell.includes("@")) return parseChatId(cell);
  if (/^[+-]?\d+(?:[.,]\d+)?e\+?\d+$/i.test(cell)) {
    return {
      ok: false,
      reason: `"${toExcerpt(cell)}" was rounded by a spreadsheet: format the column as text and export it again`,
    };
  }
  return parsePhone(cell, defaultCountry);
}

/** Blanks around a contact may be many; what is long without them is a link, or nothing. */
function parseLong(text: string, defaultCountry: CountryCode | undefined): ChatIdParse {
  const trimmed = text.length > maxLinkLength ? text : text.trim();
  if (trimmed.length <= maxLength) return parseContactId(trimmed, defaultCountry);
  const number = text.length > maxLinkLength ? undefined : linkToChat.exec(withoutQuotes(trimmed))?.[1];
  if (number === undefined) return { ok: false, reason: "too long for a chat id or a phone number" };
  return parsePhone(`+${number}`, defaultCountry);
}

function cleanCell(text: string): string {
  let cell = text.trim();
  if (/[^ -~]/.test(cell)) cell = toAscii(cell);
  cell = withoutQuotes(cell);
  const link = linkToChat.exec(cell);
  if (link?.[1] !== undefined) return `+${link[1]}`;
  return cell
    .replace(/^(?:tel|whatsapp|callto):\s*/i, "")
    .replace(/^(\+?\d+)[.,]0+$/, "$1")
    .trim();
}

/** Without what spreadsheets put around a text: `="…"`, and apostrophes. */
function withoutQuotes(cell: string): string {
  const text = cell.replace(/^=?"(.*)"$/, "$1");
  let from = 0;
  let to = text.length;
  while (from < to && text[from] === "'") from += 1;
  while (to > from && text[to - 1] === "'") to -= 1;
  return text.slice(from, to);
}

/** Full-width forms and the digits of Arabic and Persian keyboards as ASCII, without invisible marks. */
function toAscii(text: string): string {
  return text
    .normalize("NFKC")
    .replace(/\p{Cf}/gu, "")
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) & 0xf))
    .trim();
}
