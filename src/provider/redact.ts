const mask = "***";
const maxExcerptChars = 120;
/** Enough to fill an excerpt from any page; the rest of a large body is not worth the work. */
const maxScannedChars = 4096;

/**
 * GREEN-API's tokens have 50 characters. One that is shorter than this is a placeholder for tests, and as a piece of
 * ordinary words it would make every answer unreadable if it were taken out of them.
 */
const shortestSecret = 8;

/** The token as far as it is to be kept out of a body before that is judged: empty where it is a placeholder. */
export function toSecret(token: string): string {
  return token.length >= shortestSecret ? token : "";
}

/**
 * `text` without the token: plain, URL-encoded (once or more) or JSON-escaped, wholly or in part, in
 * any letter case. GREEN-API echoes the token in the `path` of its 400 bodies.
 */
export function stripToken(text: string, token: string): string {
  return token === "" ? text : text.replace(toTokenPattern(token), mask);
}

/** True where `stripToken` would take something out of `text`. */
export function holdsToken(text: string, token: string): boolean {
  // `search` and not `test`: it keeps no position between calls.
  return token !== "" && text.search(toTokenPattern(token)) >= 0;
}

/** True where something may have been taken out of `text`, so that it is not what the provider sent. */
export function isMasked(text: string): boolean {
  return text.includes(mask);
}

/**
 * A piece of a foreign text that may be logged and stored: one line of at most 120 characters without
 * the token, without whatever follows `/getAvatar/`, without markup and control characters, and with
 * numbers of 7 digits and more masked (phone numbers and chat ids are other people's data).
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

/** Building a pattern costs 40 µs, as much as a call; a process works for far fewer instances than this. */
const maxKnownPatterns = 1_000;
const knownPatterns = new Map<string, RegExp>();

function toTokenPattern(token: string): RegExp {
  const known = knownPatterns.get(token);
  if (known !== undefined) return known;
  // A run of backslashes is one step: one by one they would match in exponentially many ways. All
  // repetitions are bounded, so that no body makes the search quadratic.
  const steps = token.match(/\\+|[^\\]/gu) ?? [];
  const pattern = new RegExp(steps.map(toStepPattern).join(""), "giu");
  if (knownPatterns.size >= maxKnownPatterns) knownPatterns.clear();
  knownPatterns.set(token, pattern);
  return pattern;
}

/** One character of a token in each form it may take in a body. */
function toStepPattern(step: string): string {
  if (step.startsWith("\\")) return String.raw`(?:\\{1,64}|(?:%(?:25){0,4}5c){1,64})`;
  const plain = step.replace(/[$()*+./?[\]^{|}]/, String.raw`\$&`);
  const escaped = JSON.stringify(step).slice(1, -1);
  const afterBackslash = escaped === step ? plain : escaped.slice(1);
  const bytes = [...Buffer.from(step)].map((byte) => `%(?:25){0,4}${toHex(byte, 2)}`).join("");
  const units = Array.from(
    { length: step.length },
    (_, at) => String.raw`\\{1,8}u` + toHex(step.charCodeAt(at), 4),
  );
  return `(?:${[plain, String.raw`\\{1,8}${afterBackslash}`, bytes, units.join("")].join("|")})`;
}

function toHex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
