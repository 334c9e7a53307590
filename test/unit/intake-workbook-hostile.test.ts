import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/lib/errors.ts";
import { describeIntake, readIntake } from "../support/read-intake.ts";
import { toSheetPart, toWorkbook, toWorkbookParts, zipParts } from "../support/workbook.ts";

const contacts = { name: "S", rows: [["Phone"], [79160000601], ["+7 916 000-06-02"]] };
const good = toWorkbook(contacts);
const sheetPart = "xl/worksheets/sheet1.xml";
const phone = '<row r="1"><c r="A1" t="inlineStr"><is><t>Phone</t></is></c></row>';

const withSheet = (xml: string | Uint8Array) =>
  zipParts({ ...toWorkbookParts([contacts]), [sheetPart]: xml });
const withPart = (name: string, xml: string) => zipParts({ ...toWorkbookParts([contacts]), [name]: xml });
const refused = async (input: Uint8Array) =>
  readIntake(input).then(
    () => "read",
    ({ code, message }) => `${code}: ${message}`,
  );

const type = (kind: string) =>
  toWorkbookParts([contacts])["[Content_Types].xml"]!.replace("spreadsheetml.sheet.main", kind);
const ole = (name: string) =>
  Buffer.concat([
    Buffer.from("d0cf11e0a1b11ae1", "hex"),
    Buffer.alloc(70_000),
    Buffer.from(name, "utf16le"),
    Buffer.alloc(70_000),
  ]);

describe("what is no workbook that can be read is refused in words", () => {
  test.each<[string, Uint8Array, RegExp]>([
    [
      "macros, by their type",
      withPart("[Content_Types].xml", type("ms-excel.sheet.macroEnabled.main")),
      /with macros \(\.xlsm\): save it as \.xlsx/,
    ],
    ["macros, by their part", withPart("xl/vbaProject.bin", "x"), /with macros/],
    ["a password", ole("EncryptedPackage"), /with a password: save it without one/],
    ["the old kind", ole("Workbook"), /an old Excel workbook \(\.xls\)/],
    ["the binary kind", zipParts({ "[Content_Types].xml": "", "xl/workbook.bin": "" }), /\.xlsb/],
    ["a document of LibreOffice", zipParts({ mimetype: "x", "content.xml": "<x/>" }), /\.ods/],
    [
      "a document of Word",
      zipParts({ "[Content_Types].xml": "<x/>", "word/document.xml": "" }),
      /holds no Excel workbook: unpack it/,
    ],
    [
      "a CSV in a zip archive",
      zipParts({ "contacts.csv": "phone\n1" }),
      /holds no Excel workbook: unpack it/,
    ],
  ])("%s", async (_, input, words) => {
    expect(await refused(input)).toMatch(words);
    expect(await refused(input)).toMatch(/^unsupported-file: /);
  });

  test("a part with a password", async () => {
    const input = Buffer.from(good);
    // The flag of encryption, in each entry of the directory.
    for (let at = input.indexOf("PK\u0001\u0002"); at >= 0; at = input.indexOf("PK\u0001\u0002", at + 1))
      input[at + 8]! |= 1;
    expect(await refused(input)).toMatch(/^unsupported-file: .*with a password/);
  });
});

describe("what is damaged ends in words", () => {
  test("wherever the file is cut off", async () => {
    for (let end = 4; end < good.length; end += 7) {
      expect(await refused(good.subarray(0, end))).toMatch(
        /^broken-workbook: the Excel workbook is damaged or incomplete/,
      );
    }
  });

  test("whichever bytes are changed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 5), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        async (changes) => {
          const input = Buffer.from(good);
          for (const [at, byte] of changes) input[4 + at] = byte;
          try {
            expect((await readIntake(input)).length).toBeLessThan(10);
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  test("whatever the XML of a sheet is", async () => {
    const piece = fc.constantFrom(
      "<row>",
      "</row>",
      '<row r="2">',
      '<row r="-1">',
      '<row r="1e99">',
      "<c>",
      "</c>",
      '<c r="A1" t="s">',
      '<c r="ZZZZ9">',
      '<c r="" t="zz">',
      "<v>",
      "</v>",
      "<t>",
      "</t>",
      "<is>",
      "</is>",
      "<rPh>",
      "</rPh>",
      "<f/>",
      "0",
      "1",
      "-1",
      "NaN",
      "Phone",
      "79160000601",
      "&amp;",
      "&x;",
      "&#0;",
      "<![CDATA[",
      "]]>",
      "<!--",
      "-->",
      "<?x",
      "?>",
      "\u0000",
      "é",
      '"',
      ">",
      "<",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
        try {
          await readIntake(withSheet(toSheetPart(phone + pieces.join(""))));
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 400 },
    );
  });

  test.each<[string, Uint8Array, RegExp]>([
    [
      "a part that is missing",
      zipParts({ "[Content_Types].xml": "<Types/>", "xl/x.xml": "" }),
      /_rels\/\.rels is missing/,
    ],
    [
      "a sheet that is missing",
      zipParts({
        ...toWorkbookParts([contacts]),
        "xl/_rels/workbook.xml.rels": toWorkbookParts([contacts])["xl/_rels/workbook.xml.rels"]!.replace(
          "sheet1.xml",
          "sheet7.xml",
        ),
      }),
      /sheet7\.xml is missing/,
    ],
    ["a name that leads out of the archive", withPart("../../etc/passwd", "x"), /leads out of the archive/],
    ["an absolute name", withPart("/etc/passwd", "x"), /leads out of the archive/],
    [
      "a row beyond all rows",
      withSheet(toSheetPart(`${phone}<row r="99999999999"/>`)),
      /a row has no number/,
    ],
    [
      "a column beyond all columns",
      withSheet(toSheetPart(`${phone}<row r="2"><c r="XFE2"/></row>`)),
      /more than 16384 columns/,
    ],
    ["a sheet without its end", withSheet(`<worksheet><sheetData>${phone}`), /the XML is damaged/],
  ])("%s", async (_, input, words) => {
    expect(await refused(input)).toMatch(words);
  });

  test("a target that leads out of the archive names no file of ours", async () => {
    const rels = toWorkbookParts([contacts])["xl/_rels/workbook.xml.rels"]!;
    const input = withPart(
      "xl/_rels/workbook.xml.rels",
      rels.replace("worksheets/sheet1.xml", "../../../../etc/passwd"),
    );
    expect(await refused(input)).toMatch(/broken-workbook: .*the part etc\/passwd is missing/);
  });
});

describe("what is out of bounds ends in words", () => {
  const entities = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join(
    "",
  );

  test.each<[string, string, RegExp]>([
    [
      "a billion laughs",
      `<!DOCTYPE x [<!ENTITY l0 "ha">${entities}]><x>&l9;</x>`,
      /a DTD has no place there/,
    ],
    [
      "an outer entity",
      '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
      /a DTD has no place there/,
    ],
    ["an entity without a DTD", toSheetPart(`${phone}&laugh;`), /the XML is damaged/],
    ["elements that are deep", "<a>".repeat(1_000_000), /more than 100 deep/],
    [
      "an element with many attributes",
      `<a ${Array.from({ length: 100_000 }, (_, i) => `a${i}=""`).join(" ")}/>`,
      /more than 200 attributes/,
    ],
    ["a name of 10 MB", `<${"a".repeat(10_000_000)}`, /the XML is damaged/],
    ["an attribute of 10 MB", `<a b="${"a".repeat(10_000_000)}"/>`, /the XML is damaged/],
    ["a comment of 10 MB", `<!--${"a".repeat(10_000_000)}-->`, /the XML is damaged/],
  ])("%s", async (_, xml, words) => {
    // Stored: what is so dense would be refused for that.
    const stored = zipParts({ ...toWorkbookParts([contacts]), [sheetPart]: xml }, 0);
    expect(await refused(stored)).toMatch(words);
  });

  test("a zip bomb, as it says of itself", async () => {
    expect(await refused(withSheet(new Uint8Array(50_000_000)))).toMatch(
      /^too-dense-workbook: the Excel workbook unzips to more than 400 times its size/,
    );
  });

  test("a zip bomb that says it is small", async () => {
    const bomb = withSheet(toSheetPart(phone + " ".repeat(50_000_000)));
    // The size of the last entry but one, and of all others, in the directory.
    for (let at = bomb.indexOf("PK\u0001\u0002"); at >= 0; at = bomb.indexOf("PK\u0001\u0002", at + 1)) {
      if (bomb.readUInt32LE(at + 24) > 40_000_000) bomb.writeUInt32LE(1000, at + 24);
    }
    expect(await refused(bomb)).toMatch(/^broken-workbook: /);
  });

  test("a bomb in gzip", async () => {
    expect(await refused(gzipSync(Buffer.concat([good, Buffer.alloc(50_000_000)])))).toMatch(
      /^too-dense-gzip: /,
    );
  });

  test("a row at the far end of a sheet costs no more than another", async () => {
    const rows = Array.from(
      { length: 20_000 },
      (_, i) => `<row r="${i + 2}"><c r="XFD${i + 2}"><v>1</v></c></row>`,
    );
    const records = await describeIntake(withSheet(toSheetPart(phone + rows.join(""))));
    expect(records).toHaveLength(20_000);
    expect(records[0]).toBe("S!2 ! : no chat id or phone number");
  });
});
