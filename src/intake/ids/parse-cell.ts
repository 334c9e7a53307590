import type { CountryCode } from "libphonenumber-js/max";
import type { ChatIdParse } from "../../domain/chat-id.ts";
import { parseContactId } from "./contact-id.ts";

/** Of one record. No person has more, and each costs a look at the numbering plans. */
export const maxNumbers = 100;

/** Fewer digits beside a number are an extension, a flat, a word. */
const minDigits = 6;

/** What exports put between two numbers; a slash, which is also written within one, is looked at more closely. */
const separator = /[,;|\n\r\u2028\u2029\u3001\uff0c\uff1b\u060c\u061b]|:::/;
const slash = /[/\uff0f]/;
/** Both, and the colons of `:::`, for one look at what is nearly always one number. */
const anySeparator = /[,;|\n\r/:\u2028\u2029\u3001\uff0c\uff1b\uff0f\u060c\u061b]/;
/** A link with a prefilled message may have anything in it. */
const withMessage = /[?&]text=/i;
/** Rounded by a spreadsheet. */
const scientific = /\de\+?\d/i;

/** Has the cell nothing that stands between two numbers? It may still be none. */
export function holdsOneAtMost(cell: string): boolean {
  return !anySeparator.test(cell);
}

/**
 * The chat ids and phone numbers of a cell, in their order, whatever stands between and around them. Where there is none, why:
 * at least one of the results is no id then. Time is linear in the cell. Pure.
 * @param known what `parseContactId` says of the whole cell, where it was asked: asking costs most of the time
 */
export function parseCell(
  cell: string,
  defaultCountry: CountryCode | undefined,
  known?: ChatIdParse,
): ChatIdParse[] | "too-many" {
  if (withMessage.test(cell)) return [parseContactId(cell, defaultCountry)];
  const parts = splitAtSlashes(cell.split(separator)).filter(mayBeId);
  if (parts.length > maxNumbers) return "too-many";
  // Nothing to split: also words, whose fault is told as a whole.
  if (parts.length === 0) return [known ?? parseContactId(cell, defaultCountry)];
  const parsed: ChatIdParse[] = [];
  for (const part of parts) {
    parsed.push(...parsePart(part, defaultCountry, part === cell ? known : undefined));
    if (parsed.length > maxNumbers) return "too-many";
  }
  const found = parsed.filter(({ ok }) => ok);
  return found.length > 0 ? found : parsed;
}

/** A slash parts numbers where a plus follows it, or where blanks are around it and enough digits on both sides. */
function splitAtSlashes(parts: readonly string[]): string[] {
  return parts.flatMap((part) => {
    if (!slash.test(part) || part.includes("//")) return part;
    const pieces = splitWhere(
      part,
      /\s[/\uff0f]\s/,
      " / ",
      (before, after) => mayBeId(before) && mayBeId(after),
    );
    return pieces.flatMap((piece) => splitWhere(piece, slash, "/", (_before, after) => /^\s*\+/.test(after)));
  });
}

/** The pieces between matches of `at`, joined again by `glue` where they are not parted. */
function splitWhere(
  text: string,
  at: RegExp,
  glue: string,
  areParted: (before: string, after: string) => boolean,
): string[] {
  const [first = "", ...others] = text.split(at);
  const pieces: string[] = [];
  // What is joined is put together once: the text may have any number of slashes.
  let joined = [first];
  let before = first;
  for (const after of others) {
    if (areParted(before, after)) {
      pieces.push(joined.join(glue));
      joined = [];
    }
    joined.push(after);
    before = after;
  }
  pieces.push(joined.join(glue));
  return pieces;
}

function mayBeId(text: string): boolean {
  return text.includes("@") || countDigits(text) >= minDigits;
}

function countDigits(text: string): number {
  return text.match(/\p{Nd}/gu)?.length ?? 0;
}

/** One number with words and an extension around it; or several, with blanks, words or slashes alone between them. */
function parsePart(
  part: string,
  defaultCountry: CountryCode | undefined,
  whole = parseContactId(part, defaultCountry),
): ChatIdParse[] {
  const words = part.trim().split(/\s+/);
  const addresses = words.filter(isAddress);
  // A link is one whatever comes behind it, but for another.
  if ((whole.ok && addresses.length < 2) || scientific.test(part)) return [whole];
  const rest = addresses.length === 0 ? part : words.filter((word) => !isAddress(word)).join(" ");
  const texts = [...(words.length > 1 ? addresses : []), ...listNumbers(rest)].slice(0, maxNumbers + 1);
  // Nothing around it, and a number that is none.
  if (texts.length === 1 && texts[0] === part) return parseNumber(part, defaultCountry, whole);
  const found = texts.flatMap((text) => parseNumber(text, defaultCountry)).filter(({ ok }) => ok);
  return found.length > 0 ? found : [whole];
}

function isAddress(word: string): boolean {
  return word.includes("@") || word.includes("//") || /wa\.me\//i.test(word);
}

/** A number, or several that slashes part. */
function parseNumber(
  text: string,
  defaultCountry: CountryCode | undefined,
  whole = parseContactId(text, defaultCountry),
): ChatIdParse[] {
  if (whole.ok || isAddress(text) || !slash.test(text)) return [whole];
  return text
    .split(slash)
    .filter(mayBeId)
    .map((piece) => parseContactId(piece, defaultCountry));
}

/** The runs of digits with their punctuation, each from its plus or its bracket on. Looks at each character once. */
function listNumbers(text: string): string[] {
  const numbers: string[] = [];
  let start = -1;
  let digits = 0;
  const end = (at: number) => {
    if (digits >= minDigits) numbers.push(text.slice(start, at));
    start = -1;
    digits = 0;
  };
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (/\p{Nd}/u.test(character)) {
      digits += 1;
      if (start < 0) start = at;
    } else if (/[+\uff0b]/.test(character)) {
      end(at);
      start = at;
    } else if (character === "(") {
      if (start < 0) start = at;
    } else if (!/[\s().\-/\p{Pd}\uff0f\u2212]/u.test(character)) end(at);
  }
  end(text.length);
  return numbers;
}
