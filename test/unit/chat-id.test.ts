import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseChatId, toExcerpt } from "../../src/domain/chat-id.ts";

describe("parseChatId", () => {
  test.each([
    ["79001234567@c.us", "79001234567@c.us"],
    [" +7 900 123-45-67@C.US ", "79001234567@c.us"],
    ["79001234567@s.whatsapp.net", "79001234567@c.us"],
    ["79001234567@whatsapp.net", "79001234567@c.us"],
    ["79001234567:12@s.whatsapp.net", "79001234567@c.us"],
    ["79001234567.0:12@s.whatsapp.net", "79001234567@c.us"],
    ["79001234567_1:12@s.whatsapp.net", "79001234567@c.us"],
    ["79001234567.0@s.whatsapp.net", "79001234567@c.us"],
    ["\u202a79001234567@c.us\u202c", "79001234567@c.us"],
    ["120363043968066561@g.us", "120363043968066561@g.us"],
    ["11001234567-1581234048@G.us", "11001234567-1581234048@g.us"],
    ["123456789012345@lid", "123456789012345@lid"],
    ["123456789012345:7@LID", "123456789012345@lid"],
  ])("%j is %s", (text, chatId) => {
    expect(parseChatId(text)).toEqual({ ok: true, chatId });
  });

  test.each([
    ["", "empty"],
    [" \u200b ", "empty"],
    ["79001234567", "not a chat id: no @"],
    ["@c.us", "no phone number before the @"],
    ["1234@c.us", "no phone number before the @"],
    ["0079001234567@c.us", "no phone number before the @"],
    ["123456789012345678901@c.us", "no phone number before the @"],
    ["john@c.us", "no phone number before the @"],
    ["11001234567-@g.us", "not a group id"],
    ["abc@lid", "not a privacy id"],
    ["120363000012345678@newsletter", 'unknown kind of chat "@newsletter"'],
    ["status@broadcast", 'unknown kind of chat "@broadcast"'],
    ["ann@example.com", 'unknown kind of chat "@example.com"'],
  ])("%j is refused", (text, reason) => {
    expect(parseChatId(text)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });

  test("every spelling of a user has the same canonical id, and that is its own", () => {
    const spelling = fc.record({
      digits: fc.bigInt({ min: 10_000n, max: 10n ** 15n }).map(String),
      separators: fc.array(fc.constantFrom("", " ", "-", "\u00a0", "(", ")", "\u200e"), {
        minLength: 16,
        maxLength: 16,
      }),
      plus: fc.constantFrom("", "+"),
      device: fc.constantFrom("", ":3", ".0:3"),
      server: fc.constantFrom("@c.us", "@C.US", "@s.whatsapp.net", " @ S.WhatsApp.Net", "@whatsapp.net"),
    });
    fc.assert(
      fc.property(spelling, ({ digits, separators, plus, device, server }) => {
        const spread = digits
          .split("")
          .map((digit, index) => digit + separators[index])
          .join("");
        const chatId = `${digits}@c.us`;
        expect(parseChatId(plus + spread + device + server)).toEqual({ ok: true, chatId });
        expect(parseChatId(chatId)).toEqual({ ok: true, chatId });
      }),
    );
  });
});

describe("toExcerpt", () => {
  test("an excerpt is printable, short, and whole characters", () => {
    expect(toExcerpt("a\u0000b\u202ec")).toBe("a b c");
    expect(toExcerpt("x".repeat(50))).toBe(`${"x".repeat(40)}…`);
    expect(toExcerpt(`${"x".repeat(39)}😀😀`)).toBe(`${"x".repeat(39)}…`);
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        const excerpt = toExcerpt(text, 60);
        expect(excerpt.length).toBeLessThanOrEqual(61);
        expect(excerpt).not.toMatch(/\p{C}/u);
      }),
    );
  });
});
