/** Chat ids as they may stand in any text: in an error of the provider, or in one of ours. */
const chatIdInText = /\d{5,20}(?:-\d{5,20})?@(?:c\.us|g\.us|lid|s\.whatsapp\.net)/g;
/** A phone number as people write it: nine digits or more, of any script, with marks between them. */
const phoneInText = /\+?\p{Nd}(?:[\s\p{Pd}\p{Cf}().[\]/\u2212]*\p{Nd}){8,}/gu;
/** What has as many digits and is no phone number: UUIDs, hashes, moments, and instances as our own words name them. */
const otherInText =
  /(?<![\p{L}\p{Nd}])(?:[\da-f]{8}-[\da-f]{4}-[1-8][\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}|(?=\d{0,63}[a-f])[\da-f]{32,64})(?![\p{L}\p{Nd}])|(?<![+)\p{Nd}][\s\p{Pd}]?)20\d\d-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?)?(?![\s\p{Pd}]?\p{Nd})|(?<=\binstance )\d{10}(?![\p{Nd}@])/gu;
/** Fields with words of people, or of ours about them. Others hold ids, addresses and the like, where digits are none of a phone. */
const proseFields: ReadonlySet<string> = new Set(["text", "reason", "detail", "message", "externalRef"]);
const maxDepth = 20;
const shownDigits = 4;

/** `7900•••4567` of `79001234567@c.us`: enough to know a number again, and not to call it. */
function maskDigits(digits: string): string {
  const characters = Array.from(digits);
  const { length } = characters;
  const shown = length < 2.75 * shownDigits ? Math.floor(length / 3) : shownDigits;
  return `${characters.slice(0, shown).join("")}•••${characters.slice(length - shown).join("")}`;
}

/** A text of people with the phone numbers in it masked, each of which is told. Takes time linear in the text. */
function maskProse(text: string, tell: () => void): string {
  const maskPhones = (part: string) =>
    part.replace(phoneInText, (phone) => {
      tell();
      return maskDigits(phone.replace(/\P{Nd}/gu, ""));
    });
  let masked = "";
  let end = 0;
  for (const { 0: other, index } of text.matchAll(otherInText)) {
    masked += maskPhones(text.slice(end, index)) + other;
    end = index + other.length;
  }
  return masked + maskPhones(text.slice(end));
}

/** Labels of batches say whom they are of. Those of instances are names that the console edits: it needs them as they are. */
function isProse(name: string, owner: object): boolean {
  return proseFields.has(name) || (name === "label" && "requestedAt" in owner);
}

/**
 * A body with all chat ids masked, wherever they stand in it, and phone numbers in the fields with words. Dates stay what they are.
 * `chatIds`: which were masked; `inWords`: how many phone numbers beside them.
 */
export function maskNumbers(body: unknown): {
  readonly masked: unknown;
  readonly chatIds: ReadonlySet<string>;
  readonly inWords: number;
} {
  const chatIds = new Set<string>();
  let inWords = 0;
  const countPhone = () => void (inWords += 1);

  function maskChatIds(text: string): string {
    if (!text.includes("@")) return text;
    return text.replace(chatIdInText, (chatId) => {
      chatIds.add(chatId);
      return maskDigits(chatId.slice(0, chatId.indexOf("@")));
    });
  }

  function mask(value: unknown, depth: number, prose: boolean): unknown {
    if (typeof value === "string")
      return prose ? maskProse(maskChatIds(value), countPhone) : maskChatIds(value);
    if (typeof value !== "object" || value === null || value instanceof Date) return value;
    // Nothing that we answer is as deep.
    if (depth > maxDepth) return null;
    if (Array.isArray(value)) return value.map((item) => mask(item, depth + 1, prose));
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, mask(item, depth + 1, isProse(name, value))]),
    );
  }

  const masked = mask(body, 0, false);
  return { masked, chatIds, inWords };
}
