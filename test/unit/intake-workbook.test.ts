import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { createReading } from "../../src/domain/requests/reading.ts";
import { readContacts } from "../../src/intake/read-contacts.ts";
import { describeIntake, readIntake } from "../support/read-intake.ts";
import {
  type Cell,
  type SheetInput,
  toSheetPart,
  toWorkbook,
  toWorkbookParts,
  zipParts,
} from "../support/workbook.ts";

const ann = "79160000601@c.us";
const bob = "79160000602@c.us";

const sheet = (rows: SheetInput["rows"], name = "Kunden"): SheetInput => ({ name, rows });
const list = (...cells: Cell[]) => sheet([["Name", "Phone"], ...cells.map((cell) => ["Anna", cell])]);

const text = (xml: string): Cell => ({ xml });
/** A row as wide as a sheet. */
const wide = (each: string, last: Cell) => [...Array.from({ length: 16_383 }, () => each), last];

describe("a workbook", () => {
  const customers = toWorkbook(
    sheet([
      ["Name", "Phone", "external_ref"],
      ["Anna", 79160000601, "c-1"],
      ["Boris", "+7 916 000-06-02", 2],
      ["Clara", 89160000603, "c-3"],
      ["Dora", null, "c-4"],
      [],
      [null, "  ", ""],
    ]),
  );
  const records = [
    `2 ${ann} c-1`,
    `3 ${bob} 2`,
    'Kunden!B4 ! 89160000603,c-3: "89160000603" is not an international phone number; use --default-country for national ones',
    "Kunden!5 ! ,c-4: no chat id or phone number",
  ];

  test("is read row by row, its numbers as numbers, and its rejects by their cells", async () => {
    expect(await describeIntake(customers)).toEqual(records);
    expect(await describeIntake(gzipSync(customers))).toEqual(records);
    expect(await describeIntake([...customers].map((byte) => Uint8Array.of(byte)))).toEqual(records);
  });

  test("says what it is, and what was read of it", async () => {
    const reading = createReading();
    await readIntake(customers, { reading });
    expect(reading).toMatchObject({
      unit: "row",
      format: "Excel",
      sheet: "Kunden",
      columns: ["Phone"],
      refColumn: "external_ref",
    });
  });

  test("leaves nothing behind in the folder of temporary files", async () => {
    const folder = await mkdtemp(join(tmpdir(), "spools-"));
    vi.stubEnv("TMPDIR", folder);
    try {
      await readIntake(customers);
      await expect(readIntake(customers.subarray(0, 900))).rejects.toThrow("damaged");
      for await (const _ of readContacts(Readable.from([customers]))) break;
      expect(await readdir(folder)).toEqual([]);
      vi.stubEnv("TMPDIR", join(folder, "gone"));
      await expect(readIntake(customers)).rejects.toMatchObject({
        code: "no-spool",
        retryable: true,
        message: expect.stringContaining("cannot be written (ENOENT)"),
      });
    } finally {
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true });
    }
  });

  test("without any row has no records", async () => {
    expect(await describeIntake(toWorkbook(sheet([])))).toEqual([]);
  });
});

describe("a cell", () => {
  test.each<[string, Cell]>([
    ["a number", 79160000601],
    ["a number in scientific notation", text("<c {r}><v>7.9160000601E10</v></c>")],
    ["a number with a fraction of nothing", text("<c {r}><v>79160000601.0</v></c>")],
    ["a formula's number", text("<c {r}><f>A1*1</f><v>79160000601</v></c>")],
    ["a formula's text", text('<c {r} t="str"><f>"+"&amp;B7</f><v>+79160000601</v></c>')],
    ["an inline text", text('<c {r} t="inlineStr"><is><t>+7 916 000-06-01</t></is></c>')],
    [
      "rich text, with a reading aid",
      text(
        '<c {r} t="inlineStr"><is><r><rPr><b/></rPr><t>+7 916 </t></r><r><t>000-06-01</t></r><rPh sb="0" eb="2"><t>999</t></rPh></is></c>',
      ),
    ],
    ["a text with escapes", text('<c {r} t="inlineStr"><is><t>+7 916 000_x002D_06-01_x000D_</t></is></c>')],
    ["a text in CDATA", text('<c {r} t="inlineStr"><is><t><![CDATA[+79160000601]]></t></is></c>')],
    ["a text with entities", text('<c {r} t="inlineStr"><is><t>&#43;7&#x20;9160000601</t></is></c>')],
    ["a style", text('<c {r} s="7"><v>79160000601</v></c>')],
    ["several numbers, one of them twice", "+7 916 000-06-01; 8 (916) 000-06-01\n+79160000601"],
  ])("may hold %s", async (_, cell) => {
    expect(await describeIntake(toWorkbook(list(cell)), { defaultCountry: "RU" })).toEqual([`2 ${ann}`]);
  });

  test.each<[string, Cell, string]>([
    ["an error", text('<c {r} t="e"><f>1/0</f><v>#DIV/0!</v></c>'), '#DIV/0!: "#DIV/0!" is neither'],
    ["a truth", text('<c {r} t="b"><v>1</v></c>'), 'TRUE: "TRUE" is neither'],
    ["a date", text('<c {r} t="d"><v>2026-11-29T10:00:00</v></c>'), "2026-11-29T10:00:00: "],
    ["the number of a day", 45_000.5, "45000.5: "],
    [
      "a number that was rounded",
      text("<c {r}><v>7.9160000601123456E20</v></c>"),
      "was rounded by a spreadsheet",
    ],
    ["a string that is not there", text('<c {r} t="s"><v>99999</v></c>'), "no chat id or phone number"],
    ["10 MB", "7".repeat(10_000_000), "longer than a cell can be"],
    [
      "10 MB, inline",
      text(`<c {r} t="inlineStr"><is><t>${"+79160000602,".repeat(800_000)}</t></is></c>`),
      "longer than a cell can be",
    ],
  ])("is told by its place where it holds %s", async (_, cell, reason) => {
    const records = await describeIntake(zipParts(toWorkbookParts([list(cell, 79160000601)]), 0));
    expect(records).toEqual([expect.stringContaining(reason), `3 ${ann}`]);
    expect(records[0]).toMatch(/^Kunden!B?2 ! /);
  });

  test("has its place by its order where it names none", async () => {
    const xml = toSheetPart(
      '<row><c t="inlineStr"><is><t>Name</t></is></c><c t="inlineStr"><is><t>Phone</t></is></c></row><row><c/><c><v>79160000601</v></c></row><row r="9"><c r="B9"><v>79160000602</v></c></row>',
    );
    expect(await describeIntake(toWorkbook({ name: "S", rows: [], xml }))).toEqual([`2 ${ann}`, `9 ${bob}`]);
  });

  test("is read in the dialects of other writers: prefixes, absolute targets, capitals in names, UTF-16", async () => {
    const parts = toWorkbookParts([list("+79160000601")]);
    const changed = Object.fromEntries(
      Object.entries(parts).map(([name, xml]) => [
        name === "xl/worksheets/sheet1.xml" ? "xl\\Worksheets\\Sheet1.XML" : name,
        name.startsWith("xl/worksheets/")
          ? Buffer.from(
              `\ufeff${xml
                .replace("UTF-8", "UTF-16")
                .replaceAll(/<(\/?)(?=\w)/g, "<$1x:")
                .replace("xmlns=", "xmlns:x=")}`,
              "utf16le",
            )
          : xml,
      ]),
    );
    expect(await describeIntake(zipParts(changed))).toEqual([`2 ${ann}`]);
  });
});

describe("the list", () => {
  const cover = sheet(
    [["Report of November"], [], ["Phone", "+7 495 000-00-00"], ["Mail", "office@example.com"]],
    "Cover",
  );

  test("may be on another sheet, below a title", async () => {
    const book = toWorkbook(
      cover,
      sheet(
        [
          [],
          ["Customers"],
          [null, "as of", 45000],
          [],
          [null, "Name", "Мобильный телефон"],
          [null, "A", 79160000601],
        ],
        "Our 'list'",
      ),
    );
    expect(await describeIntake(book)).toEqual([`6 ${ann}`]);
    const bad = toWorkbook(cover, sheet([["Phone"], ["x"]], "Our 'list'"));
    expect(await describeIntake(bad)).toEqual([expect.stringMatching(/^'Our ''list'''!A2 ! x: /)]);
  });

  test("may be on the sheet that is asked for", async () => {
    const book = toWorkbook(list(79160000601), sheet([["Phone"], [79160000602]], "Old List"));
    expect(await describeIntake(book)).toEqual([`2 ${ann}`]);
    expect(await describeIntake(book, { sheet: "Old List" })).toEqual([`2 ${bob}`]);
    expect(await describeIntake(book, { sheet: " old list" })).toEqual([`2 ${bob}`]);
    await expect(describeIntake(book, { sheet: "New" })).rejects.toMatchObject({
      code: "sheet-not-found",
      message: 'no sheet "New" for --sheet; there is "Kunden", "Old List"',
    });
  });

  test("is looked for on hidden sheets last", async () => {
    const book = toWorkbook(
      { name: "Hidden", rows: [["Phone"], [79160000602]], state: "hidden" },
      list(79160000601),
    );
    expect(await describeIntake(book)).toEqual([`2 ${ann}`]);
    expect(await describeIntake(book, { sheet: "Hidden" })).toEqual([`2 ${bob}`]);
  });

  test("may have no header", async () => {
    const book = toWorkbook(
      sheet([["Only words"]], "Words"),
      sheet([
        ["Anna", 79160000601],
        ["Bob", 79160000602],
      ]),
    );
    expect(await describeIntake(book)).toEqual([`1 ${ann}`, `2 ${bob}`]);
  });

  test.each([["Handy"], ["handy"], ["3"], ["C"], ["c"]])("may have its column named %s", async (column) => {
    const book = toWorkbook(
      sheet([["Title"], [], ["Phone", "Name", "Handy"], [79160000602, "Anna", 79160000601]]),
    );
    expect(await describeIntake(book, { column })).toEqual([`4 ${ann}`]);
  });

  test("has all its columns of phones read, and the reference that is asked for", async () => {
    const book = toWorkbook(
      sheet([
        ["Home Phone", "Customer ID", "Mobile Phone", "Business Fax"],
        [79160000601, 1001, "+7 916 000-06-02", 74950000000],
      ]),
    );
    expect((await describeIntake(book, { refColumn: "Customer ID" })).toSorted()).toEqual([
      `2 ${ann} 1001`,
      `2 ${bob} 1001`,
    ]);
    expect(await describeIntake(book, { firstNumber: true })).toEqual([expect.stringMatching(/^2 7916/)]);
  });

  test("that is not there is told with what is", async () => {
    const book = toWorkbook(
      sheet(
        [
          ["Name", "Town"],
          ["Anna", "Omsk"],
        ],
        "One",
      ),
      sheet([["x"]], "Two"),
    );
    await expect(describeIntake(book)).rejects.toMatchObject({
      code: "no-contact-column",
      message: expect.stringContaining(
        'sheet "One" begins with "Name", "Town"; sheet "Two" begins with "x": say which one with --column NAME',
      ),
    });
    await expect(describeIntake(book, { column: "Fon" })).rejects.toMatchObject({
      code: "column-not-found",
      message:
        'no column "Fon" for --column; sheet "One" begins with "Name", "Town"; sheet "Two" begins with "x"',
    });
  });

  test("may be 16,384 columns wide", async () => {
    const book = toWorkbook(sheet([wide("Field", "Phone"), wide("x", 79160000601), wide("x", "y")]));
    expect(await describeIntake(book)).toEqual([`2 ${ann}`, expect.stringMatching(/^Kunden!XFD3 ! y: /)]);
  });
});
