import { Readable } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ResultRow } from "../../src/domain/views/result-row.ts";
import { readContacts } from "../../src/intake/read-contacts.ts";
import { csvCells, disarmFormulas } from "../../src/lib/csv-cells.ts";
import { encodeResults } from "../../src/results/encode-results.ts";
import { collect } from "../support/collect.ts";
import { noImage } from "../support/no-image.ts";

function toRow(chatId: string, externalRef: string): ResultRow {
  return {
    instanceId: "1101000001",
    chatId,
    externalRef,
    status: "unknown",
    avatarUrl: undefined,
    urlExpiresAt: undefined,
    checkedAt: undefined,
    attempts: 0,
    lastError: undefined,
    position: undefined,
    image: noImage,
  };
}

async function* once<Item>(...items: Item[]): AsyncGenerator<Item> {
  yield* items;
}

/**
 * The cells that a spreadsheet makes of a text: a quote counts where a cell begins, and what follows the closing one is
 * taken as it is, as Excel and LibreOffice do.
 */
function splitAsSpreadsheet(text: string, separator: string): string[] {
  const cells: string[] = [];
  let cell = "";
  let quoted = false;
  let began = false;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text.charAt(at);
    if (quoted && sign === '"' && text[at + 1] === '"') {
      cell += '"';
      at += 1;
    } else if (quoted && sign === '"') quoted = false;
    else if (quoted) cell += sign;
    else if (sign === separator || sign === "\n" || sign === "\r") {
      cells.push(cell);
      cell = "";
      began = false;
      continue;
    } else if (sign === '"' && !began) quoted = true;
    else cell += sign;
    began = true;
  }
  return [...cells, cell];
}

const isFormula = (cell: string) => /^[\s"\p{Z}\p{Cc}\p{Cf}]*[=+\-@＝＋－＠]/u.test(cell);
const nasty = fc
  .array(fc.constantFrom(..."=+-@＝＋－＠;,|\t\r\n\"' x1\u00a0\u200b\u2028".split("")), { maxLength: 12 })
  .map((signs) => signs.join(""));

describe("cells of CSV", () => {
  test.each([
    ["=1+1", "'=1+1"],
    ["x;=1+1", "x;'=1+1"],
    ["x\t=1+1", "x\t'=1+1"],
    ["x|@SUM(1)", "x|'@SUM(1)"],
    ["x\n-2+3", "x\n'-2+3"],
    ['x;"=1+1"', 'x;"\'=1+1"'],
    ["x; \u00a0=1+1", "x; \u00a0'=1+1"],
    ["  =1+1", "  '=1+1"],
    ["\t=1+1", "\t'=1+1"],
    ["＝1+1", "'＝1+1"],
    ["x;＋1", "x;'＋1"],
    ["=1;=2;=3", "'=1;'=2;'=3"],
    ["+79001234567", "'+79001234567"],
  ])("disarm the formula of %j", (text, safe) => {
    expect(disarmFormulas(text)).toBe(safe);
  });

  test.each([
    "",
    "a=b",
    "x;y=1",
    "a, -b",
    "https://pps.whatsapp.net/v/a-b.jpg?oe=1&oh=-2",
    "'=1",
    "5-6@g.us",
  ])("leave %j as it is", (text) => {
    expect(disarmFormulas(text)).toBe(text);
  });

  test("hold no formula, whatever sign a spreadsheet parts them at", () => {
    fc.assert(
      fc.property(fc.array(nasty, { minLength: 1, maxLength: 4 }), (cells) => {
        const text = stringify([["first", 1, ...cells]], csvCells);
        for (const separator of [",", ";", "\t", "|"]) {
          expect(splitAsSpreadsheet(text, separator).filter(isFormula)).toEqual([]);
        }
        expect(parse(text, { relax_column_count: true })).toEqual([
          ["first", "1", ...cells.map(disarmFormulas)],
        ]);
      }),
      { numRuns: 2_000, seed: 18 },
    );
  });

  test("would with quotes alone", () => {
    const text = stringify([["first", "x;=1+1;y"]], { quoted_string: true });
    expect(splitAsSpreadsheet(text, ";").filter(isFormula)).toEqual(["=1+1"]);
  });
});

describe("results as CSV", () => {
  test("put text in quotes, and a formula behind a semicolon is none any more", async () => {
    const csv = await readText(encodeResults("csv", once(toRow("79001234567@c.us", "x;=1+1"))));
    expect(csv.split("\n")[1]).toBe(`"1101000001","79001234567@c.us","x;'=1+1","unknown",,,,0,,,,,,,false,`);
  });

  test.each([
    ["79001234567@c.us", "crm-1"],
    ["79001234567-1234567890@g.us", "a, b"],
    ["120363000012345678@g.us", 'said "so"; and more'],
    ["123456789012345@lid", "a=b"],
  ])("are read back by import: %s, %s", async (chatId, ref) => {
    const csv = await readText(encodeResults("csv", once(toRow(chatId, ref))));
    expect((await collect(readContacts(Readable.from([Buffer.from(csv)])))).flat()).toEqual([
      { kind: "contact", position: 2, chatId, externalRef: ref },
    ]);
  });

  test("a phone number with a plus in a file of cells is read back as its chat", async () => {
    const csv = stringify([["phone"], ["+79001234567"], [" +79001234568"]], csvCells);
    const records = (await collect(readContacts(Readable.from([Buffer.from(csv)])))).flat();
    expect(records.map((record) => record.kind === "contact" && record.chatId)).toEqual([
      "79001234567@c.us",
      "79001234568@c.us",
    ]);
  });
});
