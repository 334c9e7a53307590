import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type IntakeRecord, readContacts, type ReadContactsOptions } from "../../src/intake/read-contacts.ts";
import { UserError } from "../../src/lib/errors.ts";

async function readChunks(chunks: Buffer[], options: ReadContactsOptions = {}): Promise<IntakeRecord[]> {
  const records: IntakeRecord[] = [];
  for await (const chunk of readContacts(Readable.from(chunks), options)) records.push(...chunk);
  return records;
}

const files = {
  csv: '\ufeffname,phone,external_ref\r\n"Łee, ""A""\r\nx",+7 900 123-45-67,crm-é\r\n\r\n"bad "x",1\r\nBob,447700900123,"b"\r\n"open,1',
  ndjson: '{"chatId":"79001234567@c.us","ref":"é"}\r\n{"phone":\n\n{"phone":447700900123}',
  lines: "79001234567\r\r\n+44 7700 900123\n\rnobody\r",
};

describe("reading", () => {
  test.each(Object.entries(files))("%s does not depend on where the bytes are cut", async (_, text) => {
    for (const bytes of [Buffer.from(text), gzipSync(text), Buffer.from(`\ufeff${text}`, "utf16le")]) {
      const whole = await readChunks([bytes]);
      expect(whole.length).toBeGreaterThan(2);
      for (let at = 0; at <= bytes.length; at++) {
        expect(await readChunks([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
      }
      expect(await readChunks([...bytes].map((byte) => Buffer.from([byte])))).toEqual(whole);
    }
  });

  test("any bytes at all give records in order, or a UserError", async () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom(
          "phone",
          "chat_id",
          ",",
          ";",
          "\t",
          '"',
          '""',
          "\n",
          "\r\n",
          "\r",
          "{",
          "[",
          "}",
          ":",
          "@c.us",
        )
        .map((text) => Buffer.from(text)),
      fc
        .constantFrom("79001234567", "+", "00", "E+10", "='\"", "\ufeff", "wa.me/")
        .map((text) => Buffer.from(text)),
      fc.constantFrom("1f8b", "1f8b0800", "fffe", "feff", "efbbbf").map((hex) => Buffer.from(hex, "hex")),
    );
    const options = fc.record(
      { column: fc.string(), refColumn: fc.string(), defaultCountry: fc.constantFrom("RU", "de", "US") },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), options, async (pieces, given) => {
        try {
          const records = await readChunks(pieces, given);
          const lines = records.map((record) => record.position);
          expect(lines).toEqual(lines.toSorted((a, b) => a - b));
          for (const record of records) {
            if (record.kind === "contact")
              expect(record.chatId).toMatch(/^\d{5,25}(-\d{5,20})?@(c\.us|g\.us|lid)$/);
            else expect(record.text).toSatisfy((text: string) => text.length <= 200 && !/\p{C}/u.test(text));
          }
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("what csv-writing programs quote is read back, each record with its line", async () => {
    const cell = fc.array(fc.constantFrom("a", "é", " ", ",", ";", '"', "\n", "\r\n", "'"), { maxLength: 8 });
    const rows = fc.array(fc.tuple(cell, fc.integer({ min: 1_000_000, max: 9_999_999 }), cell), {
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(rows, async (given) => {
        let text = "name,phone,ref\n";
        const expected = given.map(([name, number, ref]) => {
          const line = text.split("\n").length;
          text += `${[name.join(""), `+7900${number}`, ref.join("")].map(quote).join(",")}\n`;
          const externalRef =
            ref
              .join("")
              .replace(/[\r\n]/g, "")
              .trim() || undefined;
          return { kind: "contact", position: line, chatId: `7900${number}@c.us`, externalRef };
        });
        expect(await readChunks([Buffer.from(text)])).toEqual(expected);
      }),
    );
  });
});

function quote(cell: string): string {
  return `"${cell.replaceAll('"', '""')}"`;
}
