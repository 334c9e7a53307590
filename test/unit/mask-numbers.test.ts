import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maskNumbers } from "../../src/http/answers/mask-numbers.ts";

const proseFields = ["text", "reason", "detail", "message", "externalRef"];
const maskText = (text: string) => (maskNumbers({ text }).masked as { text: string }).text;

describe("a phone number in words", () => {
  test.each([
    ["79001234567", "7900•••4567"],
    ["+7 900 123-45-67", "7900•••4567"],
    ["call +7 (900) 123.45.67 доб 12", "call 7900•••4567 доб 12"],
    ["tel79001234567x", "tel7900•••4567x"],
    ["+49 [0] 30/1234567", "4903•••4567"],
    ["7\u00a0900\u2009123\u201145\u221267", "7900•••4567"],
    ["7\u200b9001234\u200e567", "7900•••4567"],
    ["7 \n 900     1234567", "7900•••4567"],
    ["٧٩٠٠١٢٣٤٥٦٧", "٧٩٠٠•••٤٥٦٧"],
    ["123456789", "123•••789"],
    ["2125551234", "212•••234"],
    ["79001234567, 79001234568", "7900•••4567, 7900•••4568"],
    ["79001234567 79001234568", "7900•••4568"],
    ["8 900 2011-11-11", "8900•••1111"],
    ["+2011-11-11 555", "2011•••1555"],
    ['no @ in "79001234567"', 'no @ in "7900•••4567"'],
    ["12345 79001234567@c.us", "123•••900•••4567"],
  ])("%j is told as %j", (text, told) => {
    expect(maskText(text)).toBe(told);
  });

  test.each([
    "12345678",
    "row 12 of 100000",
    "3f2504e0-4f89-41d3-9a0c-123456789012",
    "hash 00000000000000000000000000000000000000000000000000000000000000ab",
    "since 2026-11-29 13:19:30, until 2026-11-29T13:19:30.123Z",
    "there is no instance 1101000001",
    "7 900, 123; 45_67",
  ])("%j stays", (text) => {
    expect(maskText(text)).toBe(text);
  });

  const separators = fc
    .array(fc.constantFrom(" ", "-", ".", "(", ")", "[", "]", "\u00a0", "–", "\u200b", "/"), { maxLength: 4 })
    .map((marks) => marks.join(""));
  const digit = fc.integer({ min: 0, max: 9 }).map(String);
  const phone = fc
    .array(fc.tuple(digit, separators), { minLength: 9, maxLength: 25 })
    .map((parts) => ({ digits: parts.map(([one]) => one).join(""), text: parts.flat().join("") }));
  const words = fc.stringMatching(/^[a-zа-я "@:,;_<>]{0,12}$/);

  test("is masked however it is written, and nothing around it changes", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...proseFields),
        phone,
        words,
        words,
        (field, { digits, text }, before, after) => {
          fc.pre(!before.endsWith("instance ") && !/^20\d\d[01]\d[0-3]\d/.test(digits));
          const { masked } = maskNumbers({ items: [{ [field]: `${before}x${text}x${after}` }] });
          const told = (masked as { items: Record<string, string>[] }).items[0]![field]!;
          expect(told.startsWith(`${before}x`) && told.endsWith(`x${after}`)).toBe(true);
          const shown = told.replaceAll(/\D/g, "");
          expect(shown.length).toBeLessThan(digits.length - 2);
          expect(digits.startsWith(shown.slice(0, 3)) && digits.endsWith(shown.slice(-3))).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("is masked in any text once and for all", () => {
    const text = fc
      .array(
        fc.oneof(
          phone.map((one) => one.text),
          words,
          fc.string(),
        ),
      )
      .map((all) => all.join(""));
    fc.assert(
      fc.property(text, (any) => {
        expect(maskText(maskText(any))).toBe(maskText(any));
        expect(maskText(any)).not.toMatch(/(?<!instance )\+?[1-9]\d{10}/);
      }),
    );
  });
});

test("ids, addresses and moments stay in the fields that hold them", () => {
  const at = new Date(0);
  const body = {
    id: "1101000001",
    instanceId: "1101000001",
    instanceIds: ["1101000001"],
    imageUrl: "/images/79001234567",
    label: "Sales 79001234567",
    next: "79001234567",
    requestId: "79001234567",
    at,
    count: 79001234567,
  };
  expect(maskNumbers(body)).toEqual({ masked: body, chatIds: new Set(), inWords: 0 });
});

test("the label of a batch is masked", () => {
  const { masked } = maskNumbers({ requestedAt: new Date(0), label: "for 79001234567", id: "1" });
  expect(masked).toEqual({ requestedAt: new Date(0), label: "for 7900•••4567", id: "1" });
});

test("chat ids are masked in all fields, and told", () => {
  const body = { a: ["79001234567@c.us"], reason: "of 12345678-79001234568@g.us, 1111 79001234569@lid" };
  const { masked, chatIds } = maskNumbers(body);
  expect(JSON.stringify(masked)).not.toMatch(/\d{9}|@/);
  expect([...chatIds]).toEqual(["79001234567@c.us", "12345678-79001234568@g.us", "79001234569@lid"]);
});
