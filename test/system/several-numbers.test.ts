import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { intakeSamples } from "../support/intake-samples.ts";
import { openStage, readCsv, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const sampleNamed = (part: string) => intakeSamples.find(({ name }) => name.includes(part))!;

const toTexts = (rows: readonly Readonly<Record<string, string | undefined>>[]) =>
  rows.map((row) =>
    [row["position"], row["chat_id"]?.replace("@c.us", ""), row["external_ref"]].filter(Boolean).join(" "),
  );

describe("a file with several numbers a record", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage();
    await stage.addInstance(instanceId);
  });

  afterAll(() => stage.close());

  test("is enriched for all of them, and the summary says how it was read", async () => {
    const google = sampleNamed("Google");
    await stage.write("google.csv", google.bytes);
    const enriched = await stage.run(["enrich", "google.csv", "--default-country", "RU"]);
    expect(enriched.code).toBe(1);
    expect(enriched.stderr).toContain("line 5: no chat id or phone number");
    expect(enriched.stdout).toMatch(/^total\s+6\s+0 duplicates, 1 line that is no contact$/m);
    expect(enriched.stdout).toMatch(
      /^read as CSV; numbers in "Phone 1 - Value", "Phone 2 - Value"; 2 lines gave several contacts$/m,
    );
    const rows = await readCsv(stage.path("google.avatars.csv"));
    expect(toTexts(rows).toSorted()).toEqual(google.contacts.toSorted());
    expect(await readCsv(stage.path("google.rejects.csv"))).toMatchObject([
      { line: "5", reason: "no chat id or phone number", place: "" },
    ]);
  });

  test("is imported in its code page, or in the one that is given, with one number of each", async () => {
    const { bytes } = sampleNamed("windows-1251");
    await stage.write("excel.csv", bytes);
    const imported = await stage.run(["import", "excel.csv", "--default-country", "RU", "--first-number"]);
    expect(imported).toMatchObject({ code: 0 });
    expect(imported.stderr).toContain(
      'read as CSV in windows-1251; numbers in "Мобильный телефон", "Рабочий телефон"; 0 lines gave several contacts\n3 contacts enqueued',
    );
    const wrong = await stage.run(["import", "excel.csv", "--encoding", "latin1"]);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('there is "Èìÿ"') as string });
  });

  test("is enriched from a workbook, whose rejects are told by sheet and cell", async () => {
    const workbook = sampleNamed("Excel workbook");
    await stage.write("customers.xlsx", workbook.bytes);
    const enriched = await stage.run([
      "enrich",
      "customers.xlsx",
      "--sheet",
      "customers",
      "--ref-column",
      "Customer ID",
    ]);
    expect(enriched.code).toBe(1);
    expect(enriched.stderr).toContain('Customers!B5: "89160000603" is not an international phone number');
    expect(enriched.stderr).toContain("Customers!6: no chat id or phone number");
    expect(enriched.stdout).toMatch(/^total\s+2\s+0 duplicates, 2 rows that are no contacts$/m);
    expect(enriched.stdout).toMatch(
      /^read as Excel of sheet "Customers"; numbers in "Phone"; reference in "Customer ID"/m,
    );
    expect(toTexts(await readCsv(stage.path("customers.avatars.csv")))).toEqual(
      workbook.contacts.slice(0, 2),
    );
    expect(await readCsv(stage.path("customers.rejects.csv"))).toMatchObject([
      { line: "5", text: "89160000603,c-3", place: "Customers!B5" },
      { line: "6", text: ",c-4", place: "Customers!6" },
    ]);
  });

  test("is imported from vCards, whose rejects are told by card and line, and without names", async () => {
    const cards = sampleNamed("three versions");
    await stage.write("phone.vcf", cards.bytes);
    const imported = await stage.run(["import", "phone.vcf", "--default-country", "RU", "--json"]);
    expect(imported.code).toBe(1);
    expect(imported.stderr).toContain("card 4, line 23: no chat id or phone number");
    expect(JSON.parse(imported.stdout)).toMatchObject({ accepted: 5, rejected: 1 });
    expect(await readCsv(stage.path("phone.rejects.csv"))).toEqual([
      { line: "4", reason: "no chat id or phone number", text: "", place: "card 4, line 23" },
    ]);
  });
});
