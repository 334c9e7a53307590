import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createItemScanner } from "../../src/intake/json/scan-items.ts";
import { type IntakeRecord, readContacts } from "../../src/intake/read-contacts.ts";
import { UserError } from "../../src/lib/errors.ts";

async function read(chunks: Iterable<Buffer | string>): Promise<IntakeRecord[]> {
  const records: IntakeRecord[] = [];
  const buffers = [...chunks].map((chunk) => Buffer.from(chunk));
  for await (const some of readContacts(Readable.from(buffers))) records.push(...some);
  return records;
}

async function readLines(text: string): Promise<string[]> {
  return (await read([text])).map((record) =>
    record.kind === "contact"
      ? [record.position, record.chatId.replace("@c.us", ""), record.externalRef].filter(Boolean).join(" ")
      : `${record.position} ! ${record.reason}`,
  );
}

function scan(chunks: readonly Buffer[], maxLength = 1000): { items: string[]; end: string } {
  const scanner = createItemScanner(maxLength);
  const items: string[] = [];
  for (const chunk of chunks) if (!scanner.add(chunk, items)) return { items, end: "broken" };
  return { items, end: scanner.end(items) };
}

const cut = (bytes: Buffer, cuts: readonly number[]) =>
  [...new Set([0, ...cuts.map((at) => at % (bytes.length + 1)), bytes.length])]
    .toSorted((a, b) => a - b)
    .map((from, index, all) => bytes.subarray(from, all[index + 1]));

describe("JSON", () => {
  test("may have the numbers themselves for items", async () => {
    expect(await readLines('["+7 900 123-45-67", 447700900123, "x", null, [1], 1.5]')).toEqual([
      "1 79001234567",
      "2 447700900123",
      '3 ! "x" is neither a phone number nor a chat id',
      "4 ! not a JSON object",
      "5 ! not a JSON object",
      "6 ! not a JSON object",
    ]);
  });

  test("may have lists of numbers, of texts and of objects that describe one", async () => {
    const items = [
      { ref: "a", phones: ["79001234567", null, "", "79001234567", 447700900123] },
      { ref: "b", phones: [{ type: "fax" }, { type: "home", number: "+44 7700 900124" }] },
      { ref: "c", phoneNumbers: [{ canonicalForm: "+447700900125", value: "07700 900125" }], mobile: "x" },
      { ref: "d", phone: { value: 447700900126 } },
      { ref: "e", phones: [{ a: 1 }, [2]] },
      { ref: "f", phones: [] },
      { ref: "g", phones: Array.from({ length: 101 }, (_, index) => `+7900${1_000_000 + index}`) },
      { ref: {}, phone: "79001234567" },
    ];
    expect(await readLines(JSON.stringify(items))).toEqual([
      "1 79001234567 a",
      "1 447700900123 a",
      "2 447700900124 b",
      "3 447700900125 c",
      "4 447700900126 d",
      '5 ! "phones" is neither text nor a whole number',
      "6 ! no chat id or phone number",
      "7 ! holds more than 100 numbers: no contact has so many",
      '8 ! "ref" is neither text nor a whole number',
    ]);
  });

  test("that breaks off, or has a bracket too many, keeps what was before, and says so", async () => {
    for (const [text, message] of [
      ['[{"phone":"79001234567"},{"phone":"7900', "cut off"],
      ['[{"phone":"79001234567"}', "cut off"],
      ['[{"phone":"79001234567"}]]', "closing bracket too many"],
      ["[", "cut off"],
      ["{", "cut off"],
    ] as const) {
      const records: IntakeRecord[] = [];
      const reading = (async () => {
        for await (const some of readContacts(Readable.from([Buffer.from(text)]))) records.push(...some);
      })();
      await expect(reading).rejects.toBeInstanceOf(UserError);
      await expect(reading).rejects.toMatchObject({
        code: "broken-json",
        message: expect.stringContaining(message) as string,
      });
      expect(records).toHaveLength(text.length > 5 ? 1 : 0);
    }
  });

  test("loses an item that is too long, or no JSON, alone", async () => {
    const long = `{"phone":"79001234567","note":"${"x".repeat(10_000_000)}"}`;
    const text = `[${long},\n{"phone":"447700900123"},{'phone':1},{"phone":"447700900124"}]`;
    expect(await readLines(text)).toEqual([
      "1 ! longer than 64 KiB",
      "2 447700900123",
      "3 ! not a JSON object",
      "4 447700900124",
    ]);
  });

  test("is no header in brackets, and no line that is broken", async () => {
    expect(await readLines("[id],[phone]\n1,79001234567\n")).toEqual(["2 79001234567"]);
    expect(await readLines('{"phone":\n{"phone":"79001234567"}\n')).toEqual([
      "1 ! not a JSON object",
      "2 79001234567",
    ]);
  });
});

describe("items", () => {
  const json = fc.jsonValue({ maxDepth: 3 });

  test("of an array are found as they are, however they are written and cut", () => {
    fc.assert(
      fc.property(
        fc.array(json, { maxLength: 8 }),
        fc.constantFrom(undefined, 1, "\t"),
        fc.array(fc.nat(500), { maxLength: 12 }),
        (values, indent, cuts) => {
          const bytes = Buffer.from(JSON.stringify(values, undefined, indent));
          const { items, end } = scan(cut(bytes, cuts), 100_000);
          expect(end).toBe("between");
          expect(items.map((item) => JSON.parse(item) as unknown)).toEqual(
            JSON.parse(JSON.stringify(values)),
          );
        },
      ),
    );
  });

  test("of any text at all are found in one look, and never hold more than they may", () => {
    const piece = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      '"',
      "\\",
      ",",
      ":",
      " ",
      "\n",
      "1",
      "a",
      '"contacts":[',
      "é",
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 60 }),
        fc.array(fc.nat(200), { maxLength: 8 }),
        (pieces, cuts) => {
          const bytes = Buffer.from(pieces.join(""));
          const whole = scan([bytes], 10);
          expect(scan(cut(bytes, cuts), 10)).toEqual(whole);
          for (const item of whole.items) expect(item.length).toBeLessThanOrEqual(33);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
