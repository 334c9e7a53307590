/** What may be a secret in anyone's answer: of webhooks, of HTTP, of ours. Each word is looked at once. */
const secretWords = [
  /whsec_[\w+/=-]{1,200}/g,
  /\bv1a?,[\w+/=-]{16,200}/g,
  /\b(?:bearer|basic) [\w+/=.~-]{1,1000}/gi,
  /avk_[\w.-]{1,100}/g,
  /\beyJ[\w-]{1,1000}(?:\.[\w-]{0,1000}){0,2}/g,
];
/** A word, with all that may stand in one whose letters are escaped: `\u0041`, `%41`, `&#65;`, base64. */
const word = /[\p{L}\p{M}\p{N}\\%&#@_+\-'’$^*|~`]+/gu;
/** A word of a language or of a program: `not`, `can't`, `NOT_FOUND`, `requestId`. */
const plainWord = /^[\p{L}\p{M}]{1,24}(?:[-_'’][\p{L}\p{M}]{1,24}){0,5}$/u;
/** Capitals as base64 has them, and no word. */
const oddCapitals = /\p{Ll}\p{Lu}(?!\p{Ll})|\p{Lu}{2}\p{Ll}/u;
const plainNumber = /^[0-9]{1,4}$/;
/** Short numbers with nothing but marks between them: a date, an address, or a phone number in groups. */
const numbers = /[0-9]{1,4}(?:[^\p{L}\p{N}•]{1,8}[0-9]{1,4})+/gu;
const mostDigitsInARow = 6;
const mostCharacters = 1_024;
const leastHidden = 4;
/** So many digits at the end of a phone number tell whose it is, with or without its country. */
const tellingDigits = 7;
const mark = "•••";

/**
 * The answer of a receiver as it may be kept: text of one kilobyte, of which plain words and short numbers are left. Receivers repeat
 * what they got in any spelling, so it is not searched for what is to be hidden alone: what is no plain word is not kept.
 * Undefined: there was none.
 * @param hidden exact texts, secret or personal: they are not kept as plain words either
 */
export function redactAnswer(text: string, hidden: readonly string[]): string | undefined {
  const parts = toParts(hidden);
  let shown = text.slice(0, mostCharacters).replace(/\p{Cc}+/gu, " ");
  for (const one of parts.texts) shown = shown.replace(one, mark);
  for (const pattern of secretWords) shown = shown.replace(pattern, mark);
  shown = shown.replace(word, (found) => (isPlain(found, parts.words) ? found : mark));
  shown = shown.replace(numbers, (found) => (countDigits(found) > mostDigitsInARow ? mark : found));
  shown = shown.trim();
  if (shown === "") return undefined;
  return spellsOut(shown, parts.words) ? mark : shown;
}

interface HiddenParts {
  /** Each in any case, the longest first. */
  readonly texts: readonly RegExp[];
  /** In small letters and digits alone. */
  readonly words: readonly string[];
}

/** Also the words of a text of several, and the end of a number. */
function toParts(hidden: readonly string[]): HiddenParts {
  const texts = new Set<string>();
  const words = new Set<string>();
  for (const text of hidden) {
    for (const part of [text, ...text.split(/[^\p{L}\p{N}]+/u)])
      if (part.length >= leastHidden) texts.add(part);
    const letters = toLetters(text);
    if (letters.length >= leastHidden) words.add(letters);
    if (/^[0-9]{10,15}$/.test(letters)) words.add(letters.slice(-tellingDigits));
  }
  const longestFirst = [...texts].toSorted((a, b) => b.length - a.length);
  return {
    texts: longestFirst.map((text) => new RegExp(text.replace(/[^\p{L}\p{N}]/gu, String.raw`\$&`), "gi")),
    words: [...words],
  };
}

function isPlain(found: string, words: readonly string[]): boolean {
  if (plainNumber.test(found)) return true;
  if (!plainWord.test(found) || oddCapitals.test(found)) return false;
  return !spellsOut(Buffer.from(found, "base64").toString("latin1"), words);
}

/** Do the letters and digits of the text, with all between them left out, hold one of the words? */
function spellsOut(text: string, words: readonly string[]): boolean {
  const letters = toLetters(text);
  return words.some((hidden) => letters.includes(hidden));
}

function toLetters(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
}

function countDigits(text: string): number {
  return text.replace(/[^0-9]+/g, "").length;
}
