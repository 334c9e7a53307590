import fc from "fast-check";
import { getCountries, getExampleNumber, parsePhoneNumber } from "libphonenumber-js/max";
import examples from "libphonenumber-js/mobile/examples";
import { describe, expect, test } from "vitest";
import { parseContactId } from "../../src/intake/ids/contact-id.ts";
import { isPlainInternational } from "../../src/intake/ids/numbering-plans.ts";
import { parseCountry } from "../../src/intake/ids/phone.ts";

const accepted = (digits: string) => ({ ok: true, chatId: `${digits}@c.us` });

describe("without a default country", () => {
  test.each([
    ["+79001234567", "79001234567"],
    ["79001234567", "79001234567"],
    ["  +7 (900) 123-45-67 ", "79001234567"],
    ["(+7) 900 123 45 67", "79001234567"],
    ["++79001234567", "79001234567"],
    ["0079001234567", "79001234567"],
    ["00 49 151 12345678", "4915112345678"],
    ["+44 (0)7700 900123", "447700900123"],
    ["\u202a+7 900 123\u201145\u201167\u202c", "79001234567"],
    ["\uff0b\uff17\uff19\uff10\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17", "79001234567"],
    ["\u0667\u0669\u0660\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "79001234567"],
    ["\u06f7\u06f9\u06f0\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7@c.us", "79001234567"],
    ["+79001234567 ext. 5", "79001234567"],
    ["+79001234567;ext=5", "79001234567"],
    ["15550001234", "15550001234"],
    ["4520123456", "4520123456"],
  ])("%j is the chat of %s", (text, digits) => {
    expect(parseContactId(text, undefined)).toEqual(accepted(digits));
  });

  test.each([
    ["79001234567.0", "79001234567"],
    ["79001234567,00", "79001234567"],
    ["'+79001234567", "79001234567"],
    ['="79001234567"', "79001234567"],
    ['"+79001234567"', "79001234567"],
    ["tel:+7-900-123-45-67", "79001234567"],
    ["whatsapp:+79001234567", "79001234567"],
    ["https://wa.me/79001234567", "79001234567"],
    ["wa.me/+79001234567?text=mail%20me@example.com", "79001234567"],
    ["https://api.whatsapp.com/send?text=hi&phone=%2B79001234567", "79001234567"],
    ["whatsapp://send?phone=79001234567", "79001234567"],
    ["'79001234567@c.us", "79001234567"],
    ["\uff17\uff19\uff10\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff20c.us", "79001234567"],
  ])("what other programs make of a number, %j, is the chat of %s", (text, digits) => {
    expect(parseContactId(text, undefined)).toEqual(accepted(digits));
  });

  test.each([
    ["7.9001234567E+10", "rounded by a spreadsheet"],
    ["7,9E+10", "rounded by a spreadsheet"],
    ["12345", "--default-country"],
    ["", "empty"],
    ["'", "empty"],
    ["ask Maria", "neither a phone number nor a chat id"],
    ["79001234567 Maria", "neither a phone number nor a chat id"],
    ["+79001234567; +79001234568", "more than one value"],
    ["+79001234567/79001234568", "wrong length"],
    ["+44 7700", "wrong length"],
    ["+99912345678", "calling code"],
    ["+7900\ufffd234567", "not UTF-8"],
    ["ann@example.com", "unknown kind of chat"],
    ["https://wa.me/message/ABC", "neither a phone number nor a chat id"],
    ["9".repeat(5000), "too long"],
  ])("%j is refused with a reason", (text, reason) => {
    expect(parseContactId(text, undefined)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });

  test("a national number never becomes somebody in the country its digits happen to name", () => {
    // Read as +90 (0) 1234567, +20 25550123, +41 55550132.
    for (const text of ["9001234567", "2025550123", "4155550132", "0151 12345678"]) {
      expect(parseContactId(text, undefined)).toMatchObject({ ok: false });
    }
  });
});

describe("with a default country", () => {
  test.each([
    ["RU", "9001234567", "79001234567"],
    ["RU", "8 (900) 123-45-67", "79001234567"],
    ["RU", "79001234567", "79001234567"],
    ["RU", "+4915112345678", "4915112345678"],
    ["RU", "4915112345678", "4915112345678"],
    ["RU", "0049 151 12345678", "4915112345678"],
    ["RU", "810 49 151 12345678", "4915112345678"],
    ["DE", "0151 12345678", "4915112345678"],
    ["DE", "4915112345678", "4915112345678"],
    ["DE", "491711234567", "491711234567"],
    ["GB", "07700 900123", "447700900123"],
    ["US", "(202) 555-0123", "12025550123"],
    ["US", "1 202 555 0123", "12025550123"],
    ["AU", "0011 49 151 12345678", "4915112345678"],
    ["IN", "9198123456", "919198123456"],
    ["IN", "919812345678", "919812345678"],
    ["IT", "347 123 4567", "393471234567"],
  ] as const)("%s: %j is the chat of %s", (country, text, digits) => {
    expect(parseContactId(text, country)).toEqual(accepted(digits));
  });

  test("a number of the wrong length is refused", () => {
    expect(parseContactId("12345", "RU")).toEqual({
      ok: false,
      reason: '"12345" has the wrong length for a phone number of RU or any other country',
    });
  });

  test("an unknown country is the user's error, and UK gets a hint", () => {
    expect(parseCountry(" ru ")).toBe("RU");
    expect(() => parseCountry("Russia")).toThrow(
      expect.objectContaining({ name: "UserError", code: "unknown-country" }),
    );
    expect(() => parseCountry("uk")).toThrow("the United Kingdom is GB");
  });
});

describe("in every country", () => {
  const mobiles = getCountries().flatMap((country) => {
    const number = getExampleNumber(country, examples);
    return number === undefined ? [] : [{ country, number }];
  });

  test("a mobile is the same chat with plus, with 00, as bare digits, and as its country writes it", () => {
    const misread = mobiles.filter(({ country, number }) => {
      const digits = number.number.slice(1);
      const forms = [
        parseContactId(number.number, undefined),
        parseContactId(number.formatInternational(), undefined),
        parseContactId(digits, undefined),
        parseContactId(`00${digits}`, undefined),
        parseContactId(digits, country),
        parseContactId(number.formatNational(), country),
      ];
      return !forms.every((form) => form.ok && form.chatId === `${digits}@c.us`);
    });
    expect(misread).toEqual([]);
  });

  test.each([
    ["Mexico, with the former 1", "+52 1 55 1234 5678", "5215512345678"],
    ["Mexico", "+52 55 1234 5678", "525512345678"],
    ["Argentina, mobile", "+54 9 11 2345 6789", "5491123456789"],
    ["Argentina", "+54 11 2345 6789", "541123456789"],
    ["Argentina, mobile as dialled at home", "+54 11 15 2345 6789", "5491123456789"],
    ["Brazil, with the ninth digit", "+55 11 98765 4321", "5511987654321"],
    ["Brazil, without it", "+55 11 8765 4321", "551187654321"],
    ["Benin, before 2024", "+229 97 00 12 34", "22997001234"],
    ["Côte d'Ivoire, before 2021", "+225 07 12 34 56", "22507123456"],
  ])("%s: the digits stay as given", (_, text, digits) => {
    expect(parseContactId(text, undefined)).toEqual(accepted(digits));
  });

  test("the short cut around libphonenumber never says anything else than libphonenumber", () => {
    const prefix = fc.constantFrom<string[]>(...mobiles.map(({ number }) => number.countryCallingCode));
    const national = fc.stringMatching(/^\d{4,12}$/);
    fc.assert(
      fc.property(prefix, national, (code, rest) => {
        const digits = code + rest;
        if (!isPlainInternational(digits)) return;
        const number = parsePhoneNumber(`+${digits}`);
        expect(number.number).toBe(`+${digits}`);
        expect(number.isPossible()).toBe(true);
      }),
      { numRuns: 5000 },
    );
    expect(
      mobiles.filter(({ number }) => isPlainInternational(number.number.slice(1))).length,
    ).toBeGreaterThan(200);
  });
});
