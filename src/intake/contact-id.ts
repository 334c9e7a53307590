import type { CountryCode } from "libphonenumber-js/max";
import { type ChatIdParse, parseChatId, toExcerpt } from "../domain/chat-id.ts";
import { parsePhone } from "./phone.ts";

// Long enough for a link with a prefilled message, short enough for any regular expression.
const maxLength = 1000;

const linkToChat =
  /^(?:https?:\/\/|whatsapp:\/\/)?(?:www\.)?(?:wa\.me\/|(?:(?:api|web)\.whatsapp\.com\/)?send\/?\?(?:[^#]*&)?phone=)(?:\+|%2b)?(\d+)(?![\d%])/i;

/**
 * Reads whatever a contact file has in its id column: a chat id in any spelling, or a phone number,
 * also as spreadsheets (`="7900…"`, `'+7900…`, `79001234567.0`) and links (`tel:`, `whatsapp:`,
 * `https://wa.me/…`) write them.
 */
export function parseContactId(text: string, defaultCountry: CountryCode | undefined): ChatIdParse {
  if (text.length > maxLength) return { ok: false, reason: "too long for a chat id or a phone number" };
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

function cleanCell(text: string): string {
  let cell = text.trim();
  if (/[^ -~]/.test(cell)) cell = toAscii(cell);
  cell = cell.replace(/^=?"(.*)"$/, "$1").replace(/^'+|'+$/g, "");
  const link = linkToChat.exec(cell);
  if (link?.[1] !== undefined) return `+${link[1]}`;
  return cell
    .replace(/^(?:tel|whatsapp|callto):\s*/i, "")
    .replace(/^(\+?\d+)[.,]0+$/, "$1")
    .trim();
}

/** Full-width forms and the digits of Arabic and Persian keyboards as ASCII, without invisible marks. */
function toAscii(text: string): string {
  return text
    .normalize("NFKC")
    .replace(/\p{Cf}/gu, "")
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) & 0xf))
    .trim();
}
