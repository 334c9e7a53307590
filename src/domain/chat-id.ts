/**
 * A canonical WhatsApp chat id: `<digits>@c.us` (a user), `<digits>@g.us` or `<digits>-<digits>@g.us`
 * (a group), `<digits>@lid` (a privacy id).
 */
export type ChatId = string & { readonly __brand: "ChatId" };

export type ChatIdParse =
  | { readonly ok: true; readonly chatId: ChatId }
  | { readonly ok: false; readonly reason: string };

const maxExcerpt = 40;

const canonicalUser = /^[1-9]\d{4,19}@c\.us$/;
const invisible = /[\s\u00a0\u200b-\u200f\u202a-\u202e\u2060\ufeff]/g;
// The device of a multi-device id, with the agent before it in the older form: `79001234567.0:12`.
const device = /(?:[._]\d{1,3})?:\d+$/;

/**
 * Reads a chat id in any of its usual spellings: capitals, blanks, a leading plus, a device suffix, and
 * the `@s.whatsapp.net` and `@whatsapp.net` forms of a user. It does not read bare phone numbers.
 *
 * GREEN-API's pages give "11 or 12" and "11 to 16" for the count of digits; the count is the
 * provider's to judge, so only what cannot be an id at all is refused here.
 */
export function parseChatId(text: string): ChatIdParse {
  if (canonicalUser.test(text)) return { ok: true, chatId: text as ChatId };
  const compact = text.replace(invisible, "").toLowerCase();
  if (compact === "") return { ok: false, reason: "empty" };
  const at = compact.lastIndexOf("@");
  if (at < 0) return { ok: false, reason: `not a chat id: no @ in "${toExcerpt(text)}"` };
  const server = compact.slice(at + 1);
  const user = compact.slice(0, at).replace(/^\+/, "");
  switch (server) {
    case "c.us":
    case "s.whatsapp.net":
    case "whatsapp.net": {
      // A lone `.0` is an agent without a device, and not the last digit of the number.
      const digits = user
        .replace(device, "")
        .replace(/^(\d+)\.\d$/, "$1")
        .replace(/[().-]/g, "");
      return /^[1-9]\d{4,19}$/.test(digits)
        ? { ok: true, chatId: `${digits}@c.us` as ChatId }
        : { ok: false, reason: `not a chat id: "${toExcerpt(text)}" has no phone number before the @` };
    }
    case "g.us":
      return /^\d{5,25}(-\d{5,20})?$/.test(user)
        ? { ok: true, chatId: `${user}@g.us` as ChatId }
        : { ok: false, reason: `not a group id: "${toExcerpt(text)}"` };
    case "lid": {
      const digits = user.replace(device, "");
      return /^\d{5,25}$/.test(digits)
        ? { ok: true, chatId: `${digits}@lid` as ChatId }
        : { ok: false, reason: `not a privacy id: "${toExcerpt(text)}"` };
    }
    default:
      return {
        ok: false,
        reason: `unknown kind of chat "@${toExcerpt(server)}": expected @c.us, @g.us or @lid`,
      };
  }
}

/** A short, printable piece of foreign text for a message: at most `maxLength` characters and a `…`. */
export function toExcerpt(text: string, maxLength = maxExcerpt): string {
  const printable = text
    .slice(0, 4 * maxLength)
    .replace(/\p{C}+/gu, " ")
    .trim();
  if (printable.length <= maxLength) return printable;
  // Not half of a surrogate pair.
  return `${printable.slice(0, maxLength).replace(/[\ud800-\udbff]$/, "")}…`;
}
