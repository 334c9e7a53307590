/** What may be a secret in anyone's answer: of webhooks, of HTTP, of ours. Each word is looked at once. */
const secretWords = [
  /whsec_[\w+/=-]{1,200}/g,
  /\bv1a?,[\w+/=-]{16,200}/g,
  /\b(?:bearer|basic) [\w+/=.~-]{1,1000}/gi,
  /avk_[\w.-]{1,100}/g,
  /\beyJ[\w-]{1,1000}(?:\.[\w-]{0,1000}){0,2}/g,
];
const mostCharacters = 1_024;
const mark = "•••";

/**
 * The answer of a receiver as it may be kept: text of one kilobyte without control characters, secrets, and what is personal.
 * Undefined: there was none.
 * @param hidden exact texts
 */
export function redactAnswer(text: string, hidden: readonly string[]): string | undefined {
  let shown = text.slice(0, mostCharacters).replace(/\p{Cc}+/gu, " ");
  for (const word of hidden) if (word.length > 3) shown = shown.replaceAll(word, mark);
  for (const pattern of secretWords) shown = shown.replace(pattern, mark);
  shown = shown.trim();
  return shown === "" ? undefined : shown;
}
