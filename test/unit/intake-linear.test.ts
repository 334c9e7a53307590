import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseColumns } from "../../src/intake/tables/choose-columns.ts";
import { parseContactId } from "../../src/intake/ids/contact-id.ts";
import { createRecordJoiner, type RawRecord } from "../../src/intake/tables/join-records.ts";
import { parseRequest } from "../../src/intake/parse-request.ts";
import { readContactList } from "../../src/intake/read-contact-list.ts";
import { readContacts, type IntakeRecord } from "../../src/intake/read-contacts.ts";
import { readRow } from "../../src/intake/tables/read-row.ts";
import { readRows } from "../../src/intake/read-rows.ts";
import { scanQuotes } from "../../src/intake/tables/scan-quotes.ts";
import { UserError } from "../../src/lib/errors.ts";

const sizes = [1, 2, 4, 8];

/** Lines that leave a quoted field open, or seem to, or do it together. */
const badLines: readonly (readonly string[])[] = [
  ['a,"'],
  ['x","""'],
  ['x","""', "y"],
  ['"', "a"],
  ['a,"', "b", "c", 'd"'],
  ['"a"b'],
  ['"a', 'b"c'],
  ["a", '"'],
  ['""', '"'],
  ['"' + "a,".repeat(100), '""'.repeat(100)],
  ["", '"', ""],
];
const piece = fc.constantFrom("a", '"', '""', ",", " ", 'x","""');
const family = fc.oneof(
  fc.constantFrom(...badLines),
  fc.array(
    fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join("")),
    { minLength: 1, maxLength: 5 },
  ),
);

const repeat = (lines: readonly string[], count: number) => Array.from({ length: count }, () => lines).flat();

/** Characters that are looked at to find where the records end. */
function countScanned(lines: readonly string[]): number {
  let scanned = 0;
  const joiner = createRecordJoiner(",", (text, delimiter, inside) => {
    scanned += text.length;
    return scanQuotes(text, delimiter, inside);
  });
  const records: RawRecord[] = [];
  lines.forEach((text, index) => joiner.add(text, index + 1, records));
  joiner.end(records);
  return scanned;
}

test("what is too long for a name of a column is not normalized", async () => {
  const mark = "a" + "\u0301".repeat(15_000) + "\u0327".repeat(15_000);
  const text = Array.from({ length: 200 }, (_, index) => `{"${index}${mark}":0,"phone":"79001234567"}\n`);
  const records: IntakeRecord[] = [];
  // No clock is asked: normalized, each of the lines takes a second.
  for await (const block of readContacts(Readable.from(text.map((line) => Buffer.from(line))))) {
    records.push(...block);
  }
  expect(records.filter(({ kind }) => kind === "contact")).toHaveLength(200);
});

describe("quotes that never close", () => {
  test("are looked at twice at most, however many there are", () => {
    fc.assert(
      fc.property(family, (lines) => {
        for (const size of sizes) {
          const many = repeat(lines, 300 * size);
          expect(countScanned(many)).toBeLessThanOrEqual(2 * many.join("").length);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("cost their own lines alone, and the lines behind them stay what they are", async () => {
    const lines = repeat(['x","""'], 450);
    const text = `phone,ref\n${lines.join("\n")}\n79001234567,"a\nb"\n`;
    const records: IntakeRecord[] = [];
    for await (const some of readContacts(Readable.from([Buffer.from(text)]))) records.push(...some);
    expect(records.filter(({ kind }) => kind === "contact")).toMatchObject([
      { position: 452, externalRef: "ab" },
    ]);
    expect(records.map(({ position }) => position)).toEqual([...lines.map((_, index) => index + 2), 452]);
  });
});

/** The most records that came between two turns of the event loop, and the turns in all. */
async function measure(input: AsyncIterable<readonly unknown[]>): Promise<{ most: number; turns: number }> {
  const state = { isOver: false };
  let [most, turns, sinceTurn] = [0, 0, 0];
  const others = (async () => {
    for (; !state.isOver; turns += 1) {
      sinceTurn = 0;
      await nextTurn();
    }
  })();
  for await (const records of input) {
    sinceTurn += records.length;
    most = Math.max(most, sinceTurn);
  }
  state.isOver = true;
  await others;
  return { most, turns };
}

describe("the rest of the process has its turns", () => {
  // What was held for a quote may come at once, with the lines behind it.
  const mostAtOnce = 100 + 201;

  test("while a file is read, whatever is in it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(family, fc.constantFrom(["79001234567"], ['{"phone":1}'], ["nobody"], [""], ["+1 (1"])),
        async (lines) => {
          const all = [];
          for (const size of [1, 4]) {
            const many = repeat(lines, 250 * size);
            const text = `phone,ref\n${many.join("\n")}`;
            // In one piece: nothing outside makes it wait.
            const { most, turns } = await measure(readContacts(Readable.from([Buffer.from(text)])));
            expect(most).toBeLessThanOrEqual(mostAtOnce);
            expect(turns).toBeGreaterThanOrEqual(Math.floor(many.length / 100));
            all.push(turns);
          }
          // Four times the lines, and not more than that.
          expect(all[1]! / all[0]!).toBeLessThan(5);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("while a contact list, and rows of a query, are read", async () => {
    const ids = Array.from({ length: 2_000 }, (_, index) => `7900${1_000_000 + index}@c.us`);
    const list = await measure(readContactList(ids));
    const block = { columns: ["phone"], rows: ids.map((id) => [id]) };
    const rows = await measure(readRows(Readable.from([block]), {}));
    for (const { most, turns } of [list, rows]) {
      expect(most).toBeLessThanOrEqual(100);
      expect(turns).toBeGreaterThanOrEqual(20);
    }
  });

  test("while a request of BullMQ's is read", async () => {
    const chatIds = Array.from({ length: 10_000 }, () => "1'''");
    const reading = parseRequest({ instanceId: "1", chatIds });
    const { turns } = await measure(Readable.from([[]]).map(async () => [await reading]));
    expect(turns).toBeGreaterThanOrEqual(100);
    expect((await reading).rejected).toHaveLength(10_000);
  });
});

test("a header of ten thousand phone numbers costs each row no more than some fifty looks", () => {
  for (const size of sizes) {
    const header = Array.from({ length: 1_250 * size }, (_, index) => `Phone ${index % 2 ? "1" : "number"}`);
    const layout = chooseColumns([...header, "chat_id"], {});
    // The best of them is still found, wherever it stands.
    expect(layout.idColumns[0]).toEqual([header.length]);
    let looks = 0;
    const counted = new Proxy([""], {
      get(fields, name, receiver) {
        if (typeof name === "string" && /^\d+$/.test(name)) looks += 1;
        return Reflect.get(fields, name, receiver) as unknown;
      },
    });
    readRow({ line: 1, text: "" }, counted, layout, { defaultCountry: undefined, firstNumber: false });
    expect(looks).toBeLessThanOrEqual(55);
  }
});

describe("what is no contact", () => {
  const nearMiss = fc
    .constantFrom("'", "+", "(", "0", " ", "\u0661", "\ufdfa", "\u200b", ".", "-", ";", "@", "=", '"')
    .chain((char) =>
      fc.tuple(fc.constant(char), fc.integer({ min: 1, max: 900 }), fc.constantFrom("", "1", "x")),
    );

  test("is refused by its length above 100 characters, links apart", () => {
    fc.assert(
      fc.property(nearMiss, fc.constantFrom("1", "+", "x"), ([char, count, end], start) => {
        const text = `${start}${char.repeat(count)}${end}`;
        const parsed = parseContactId(text, undefined);
        if (text.trim().length > 100) expect(parsed).toMatchObject({ ok: false, reason: /^too long/ });
      }),
    );
    const message = encodeURIComponent("Hallo, ich möchte …".repeat(10));
    const link = `https://wa.me/79001234567?text=${message}`;
    expect([link.length > 100, parseContactId(link, undefined)]).toEqual([
      true,
      { ok: true, chatId: "79001234567@c.us" },
    ]);
    expect(parseContactId(`${" ".repeat(400)}79001234567${" ".repeat(400)}`, undefined)).toMatchObject({
      ok: true,
    });
  });
});

const read = async (bytes: Buffer) => {
  let count = 0;
  for await (const records of readContacts(Readable.from([bytes]))) count += records.length;
  return count;
};
const row = (index: number, columns: number) => `${79_001_000_000 + index}${",".repeat(columns)}`;

describe("gzip", () => {
  test("that unzips to several hundred times its size is refused after a few MiB", async () => {
    const bomb = gzipSync(`phone\n${"79001234567,,,,\n".repeat(1_000_000)}`);
    const reading = read(bomb);
    await expect(reading).rejects.toBeInstanceOf(UserError);
    await expect(reading).rejects.toMatchObject({
      code: "too-dense-gzip",
      message: expect.stringContaining("more than 400 times its size, seen after 4 MiB"),
    });
  });

  test("of a small file, or of one with a thousand empty columns, is read", async () => {
    expect(await read(gzipSync(`phone\n${"79001234567\n".repeat(20_000)}`))).toBe(20_000);
    const wide = Array.from({ length: 6_000 }, (_, index) => row(index, 1_000));
    expect(await read(gzipSync(wide.join("\n")))).toBe(6_000);
  });
});
