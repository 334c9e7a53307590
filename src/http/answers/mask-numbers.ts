/** Chat ids as they may stand in any text: in an error of the provider, or in one of ours. */
const chatIdInText = /\d{5,20}(?:-\d{5,20})?@(?:c\.us|g\.us|lid|s\.whatsapp\.net)/g;
const maxDepth = 20;
const shownDigits = 4;

/** `7900•••4567` of `79001234567@c.us`: enough to know a number again, and not to call it. */
function maskChatId(chatId: string): string {
  const at = chatId.indexOf("@");
  const digits = at < 0 ? chatId : chatId.slice(0, at);
  const shown = digits.length < 2.5 * shownDigits ? Math.floor(digits.length / 3) : shownDigits;
  return `${digits.slice(0, shown)}•••${digits.slice(digits.length - shown)}`;
}

/** A body with all chat ids masked, wherever they stand in it, and which they were. Dates stay what they are. */
export function maskNumbers(body: unknown): {
  readonly masked: unknown;
  readonly chatIds: ReadonlySet<string>;
} {
  const chatIds = new Set<string>();

  function maskText(text: string): string {
    return text.replace(chatIdInText, (chatId) => {
      chatIds.add(chatId);
      return maskChatId(chatId);
    });
  }

  function mask(value: unknown, depth: number): unknown {
    if (typeof value === "string") return value.includes("@") ? maskText(value) : value;
    if (typeof value !== "object" || value === null || value instanceof Date) return value;
    // Nothing that we answer is as deep.
    if (depth > maxDepth) return null;
    if (Array.isArray(value)) return value.map((item) => mask(item, depth + 1));
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mask(item, depth + 1)]));
  }

  const masked = mask(body, 0);
  return { masked, chatIds };
}
