import { describe, expect, test } from "vitest";
import { openPackage } from "../../src/intake/workbook/open-package.ts";
import { openSpool } from "../../src/intake/workbook/open-spool.ts";
import { createStringTable } from "../../src/intake/workbook/string-table.ts";
import { collect } from "../support/collect.ts";
import { readIntake } from "../support/read-intake.ts";
import { toSheetPart, toWorkbook, toWorkbookParts, zipParts } from "../support/workbook.ts";

const contacts = { name: "S", rows: [["Phone"], [79160000601]] };
const good = toWorkbook(contacts);
const refused = async (input: Uint8Array) =>
  readIntake(input).then(
    () => "read",
    ({ code, message }) => `${code}: ${message}`,
  );

describe("what would cost more than it takes in a file ends in words", () => {
  test("parts that are read again and again, and strings that are named again and again", async () => {
    const spools = await Promise.all([openSpool(), openSpool(), openSpool()]);
    try {
      const [file, texts, ends] = spools;
      await file.append(good);
      const workbook = await openPackage(file, { mostBytes: 10_000 });
      const readAgain = async () => {
        for (let count = 0; count < 1_000; count += 1)
          await collect(workbook.read("xl/worksheets/sheet1.xml"));
      };
      await expect(readAgain()).rejects.toMatchObject({ code: "too-large-workbook" });
      const strings = createStringTable(texts, ends, 10_000);
      await strings.add(["x".repeat(4_000), "é"]);
      expect([strings.get(0).length, strings.get(1), strings.get(2), strings.get(0).length]).toEqual([
        4_000,
        "é",
        "",
        4_000,
      ]);
      expect(() => strings.get(0)).toThrow(expect.objectContaining({ code: "too-large-workbook" }));
    } finally {
      for (const spool of spools) await spool.close();
    }
  });

  test("names of parts that would fill the memory", async () => {
    const parts = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`xl/${"n".repeat(60_000)}${index}`, ""]),
    );
    expect(await refused(zipParts({ ...toWorkbookParts([contacts]), ...parts }))).toMatch(
      /names of its parts are too long/,
    );
  });

  test("many wide sheets without a list are told by the first of them", async () => {
    const wide = Array.from({ length: 4_000 }, (_, column) => `word ${column}`.padEnd(60, "x"));
    const xml = toSheetPart(
      `<row>${wide.map((word) => `<c t="inlineStr"><is><t>${word}</t></is></c>`).join("")}</row>`,
    );
    const sheets = Array.from({ length: 22 }, (_, index) => ({ name: `S${index}`, rows: [], xml }));
    const message = await refused(toWorkbook(...sheets));
    expect(message).toMatch(/^no-contact-column: .*sheet "S19" begins with/);
    expect(message).not.toContain("S20");
  });
});
