/** What a text alone can say, whichever status it came with. */
export type TextSign =
  | "throttled"
  | "not-authorized"
  | "starting"
  | "expired"
  | "deleted"
  | "blocked"
  | "unauthorized"
  | "invalid"
  | "chat-timeout";

/**
 * "account", "is", "has been" and the like, between the subject and what became of it; never "not". So few that a row of
 * subjects is not read to its end from each of them.
 */
const isNow = "(?: (?:account|is|was|has|been|already|temporarily|permanently)){0,6}";

/**
 * GREEN-API's texts (its common-errors page, GetAvatar page and public issue tracker), as they read after
 * `fold`. The first match counts: what speaks of the whole instance goes before what speaks of a chat.
 */
const signs: readonly (readonly [RegExp | ((folded: string) => boolean), TextSign])[] = [
  [/\brate[-_ ]?overlimit\b/, "throttled"],
  [/\bstarting or not authori[sz]ed\b/, "not-authorized"],
  [new RegExp(`\\b(?:instance|account)${isNow} (?:not authori[sz]ed|unauthori[sz]ed)\\b`), "not-authorized"],
  [/\bin starting process\b/, "starting"],
  [new RegExp(`\\b(?:instance|account)${isNow} expired\\b`), "expired"],
  [new RegExp(`\\b(?:instance|account)${isNow} deleted\\b`), "deleted"],
  [new RegExp(`\\b(?:instance|account)${isNow} blocked\\b`), "blocked"],
  [/(?:^|\| )blocked(?:$| \|)/, "blocked"],
  [/\bunauthori[sz]ed\b/, "unauthorized"],
  [/\bbad request data\b/, "invalid"],
  [complainsOfChatId, "invalid"],
  [/\btimeout limit exceeded\b/, "chat-timeout"],
];

/** The first sign that one of `texts` holds, without regard to letter case, blanks and quotes. */
export function findTextSign(texts: readonly string[]): TextSign | undefined {
  if (texts.length === 0) return undefined;
  // A message and its details may come apart; the bar keeps two texts from making up a third.
  const folded = texts
    .slice(0, maxTexts)
    .filter((text) => !isMarkup(text))
    .map(fold)
    .join(" | ");
  return signs.find(([sign]) => (sign instanceof RegExp ? sign.test(folded) : sign(folded)))?.[1];
}

/**
 * A failed validation of the chat id alone. "Is required" and "must be a string" mean that our body did not arrive. In two
 * looks: one pattern would read the rest anew after each "validation failed".
 */
function complainsOfChatId(folded: string): boolean {
  const failedAt = folded.search(/\bvalidation failed\b/);
  if (failedAt < 0) return false;
  return /\bchatid (?:must\b(?! be a string| not be empty)|(?:length|with value|contains|fails)\b)/.test(
    folded.slice(failedAt),
  );
}

/** A proxy's page, whole or wrapped into a message, may say "blocked" or "expired" and mean itself. */
function isMarkup(text: string): boolean {
  return /<(?:!doctype|html|head|body|title)\b/i.test(text);
}

/** No reply of the provider's is anywhere near as talkative. */
const maxTexts = 20;
const maxTextChars = 2_000;

function fold(text: string): string {
  return text
    .slice(0, maxTextChars)
    .toLowerCase()
    .replace(/["'`\\‘’“”]/g, "")
    .replace(/\s+/g, " ")
    .trim();
}
