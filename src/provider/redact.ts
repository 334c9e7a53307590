import { findToken } from "./find-token.ts";
import { createTokenPattern, type TokenPattern } from "./token-pattern.ts";

const mask = "***";
const maxExcerptChars = 120;
/** Enough to fill an excerpt from any page; the rest of a large body is not worth the work. */
const maxScannedChars = 4096;

/**
 * GREEN-API's tokens have 50 characters. A shorter token is a placeholder for tests. It may be a piece of ordinary words: taken
 * out of them it would make every answer unreadable.
 */
const shortestSecret = 8;

/** The token to be kept out of a body before that is judged; empty where it is a placeholder. */
export function toSecret(token: string): string {
  return token.length >= shortestSecret ? token : "";
}

/**
 * `text` without the token, in whole or in part and in any letter case. It may be plain, URL-encoded (once or more) or
 * JSON-escaped. Takes time linear in the text. GREEN-API echoes the token in the `path` of its 400 bodies.
 */
export function stripToken(text: string, token: string): string {
  if (isSurelyAbsent(text, token)) return text;
  const { ranges } = findToken(text, getPattern(token).pattern);
  if (ranges.length === 0) return text;
  const kept = ranges.map(({ from }, index) => text.slice(ranges[index - 1]?.end ?? 0, from));
  return [...kept, text.slice(ranges.at(-1)?.end)].join(mask);
}

/** True where `stripToken` would take something out of `text`. */
export function holdsToken(text: string, token: string): boolean {
  return !isSurelyAbsent(text, token) && findToken(text, getPattern(token).pattern).ranges.length > 0;
}

/**
 * True where the text holds nothing of the token, as far as a short look tells: nearly all answers are short and have no escapes, so
 * that each character stands for itself. It is
 * taken for such tokens only of which a regular expression knows all letter cases that {@link findToken} does.
 */
export function isSurelyAbsent(text: string, token: string): boolean {
  if (token === "") return true;
  if (text.length > maxScannedChars) return false;
  const { plain } = getPattern(token);
  return plain !== undefined && !plain.test(text) && !/[%\\]/.test(text);
}

/** True where something may have been taken out of `text`, so that it is not what the provider sent. */
export function isMasked(text: string): boolean {
  return text.includes(mask);
}

/**
 * A piece of a foreign text that may be logged and stored: one line of at most 120 characters. The token, all that follows
 * `/getAvatar/`, markup and control characters are left out. Numbers of 7 digits and more are masked: phone numbers and chat
 * ids are other people's data.
 */
export function redact(text: string, token = ""): string {
  const line = stripToken(text, token)
    .slice(0, maxScannedChars)
    .replace(/(\/|%2f)getavatar\\*(?:\/|%2f)[^\s"'<>]*/giu, `$1getAvatar/${mask}`)
    .replace(/<[^<>]*>|[<>\p{C}]/gu, " ")
    .replace(/\p{Nd}{7,}/gu, mask)
    .replace(/\s+/gu, " ")
    .trim();
  const excerpt = line.length > maxExcerptChars ? `${cut(line, maxExcerptChars - 1)}…` : line;
  // Taking out markup and blanks may have joined what was apart before.
  return holdsToken(excerpt, token) ? "" : excerpt;
}

/** Cuts without leaving half of a surrogate pair, which Postgres refuses in JSON. */
function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "");
}

/** Building a pattern costs 20 µs, as much as a call; a process works for far fewer instances than this. */
const maxKnownPatterns = 1_000;
const knownPatterns = new Map<string, KnownPattern>();

interface KnownPattern {
  readonly pattern: TokenPattern;
  /** Undefined where the token has more than ASCII letters, digits and dashes. GREEN-API's have not. */
  readonly plain: RegExp | undefined;
}

function getPattern(token: string): KnownPattern {
  const known = knownPatterns.get(token);
  if (known !== undefined) return known;
  const plain = /^[A-Za-z0-9_-]+$/.test(token) ? new RegExp(token, "iu") : undefined;
  const created = { pattern: createTokenPattern(token), plain };
  if (knownPatterns.size >= maxKnownPatterns) knownPatterns.clear();
  knownPatterns.set(token, created);
  return created;
}
