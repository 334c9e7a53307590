import { gzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiAnswer } from "../support/api-call.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { intakeSamples, type IntakeSample } from "../support/intake-samples.ts";
import { toWorkbookParts, zipParts } from "../support/workbook.ts";

const instanceId = "1101000001";
const parts = toWorkbookParts([{ name: "S", rows: [["Phone"], [79160000601]] }]);
const sheet = "xl/worksheets/sheet1.xml";

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
  await stage.addInstance(instanceId);
});
afterAll(() => stage.close());

type Query = Readonly<Record<string, string>>;

function upload(body: string | Buffer, query: Query = {}, key?: string): Promise<ApiAnswer> {
  const search = new URLSearchParams({ instanceId, ...query });
  const headers = { "content-type": toType(body), ...(key !== undefined && { "idempotency-key": key }) };
  return stage.call(`/v1/batches?${search.toString()}`, { method: "POST", body, headers });
}

function toType(body: string | Buffer): string {
  const start = Buffer.from(body).toString("latin1", 0, 5);
  if (start.startsWith("PK")) return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
  return start === "BEGIN" ? "text/vcard" : "text/csv";
}

function toQuery({ options = {} }: IntakeSample): Query {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, String(value)]));
}

/** `position number ref` of each row of the results. */
async function readResults(id: unknown): Promise<string[]> {
  const { text } = await stage.call(`/v1/batches/${String(id)}/results.csv`);
  const rows: Record<string, string>[] = parse(text, { columns: true });
  return rows.map((row) =>
    [row["position"], row["chat_id"]?.replace("@c.us", ""), row["external_ref"]].filter(Boolean).join(" "),
  );
}

describe("an upload", () => {
  test.each(intakeSamples)(
    "of $name is read as a file is, and its results name the lines",
    async (sample) => {
      const answer = await upload(sample.bytes, toQuery(sample));
      expect(answer.status).toBe(202);
      const { id, counts, rejects, reading } = answer.json() as unknown as {
        id: string;
        counts: { accepted: number; rejected: number };
        rejects: { line: number }[];
        reading: { several: number };
      };
      expect((await readResults(id)).toSorted()).toEqual(sample.contacts.toSorted());
      expect(counts).toMatchObject({ accepted: sample.contacts.length, rejected: sample.rejects.length });
      expect(rejects.map(({ line }) => line)).toEqual(sample.rejects);
      const positions = sample.contacts.map((contact) => contact.split(" ")[0]);
      const isRepeated = (position: unknown) => positions.filter((other) => other === position).length > 1;
      expect(reading.several).toBe(new Set(positions.filter(isRepeated)).size);
    },
  );

  test("tells how it was read, also when it comes again under its key", async () => {
    const sample = intakeSamples.find(({ name }) => name.includes("windows-1251"))!;
    const query = { ...toQuery(sample), firstNumber: "true", encoding: "cp1251" };
    const first = await upload(sample.bytes, query, "cyrillic");
    expect(first.json()).toMatchObject({
      counts: { accepted: 3 },
      reading: {
        unit: "line",
        format: "CSV",
        encoding: "windows-1251",
        sheet: null,
        columns: ["Мобильный телефон", "Рабочий телефон"],
        refColumn: null,
        several: 0,
      },
    });
    const again = await upload(sample.bytes, query, "cyrillic");
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(again.json()).toEqual(first.json());
    const other = await upload(sample.bytes, { ...query, firstNumber: "false" }, "cyrillic");
    expect(other.json()).toMatchObject({ status: 422, code: "idempotency-key-reused" });
  });

  test("in an encoding that is not known is refused in words", async () => {
    const answer = await upload("phone\n79001234567\n", { encoding: "klingon" });
    expect(answer.json()).toMatchObject({
      status: 422,
      code: "unusable-input",
      detail: expect.stringContaining('unknown encoding "klingon"') as string,
    });
  });

  test("with more than it may have in one place is refused in words, within its limits", async () => {
    const numbers = Array.from({ length: 4_000 }, (_, index) => `+7916${1_000_000 + index}`);
    const answer = await upload(
      [
        "tel,".repeat(16_000),
        ",".repeat(15_999),
        `${",".repeat(49)}+79160000301${",".repeat(15_950)}`,
        `"${numbers.join(";")}"`,
        `"${"x".repeat(10_000_000)}"`,
        numbers.join(","),
      ].join("\n"),
    );
    expect(answer.json()).toMatchObject({
      counts: { accepted: 51, rejected: 2 },
      rejects: [
        { line: 4, reason: "holds more than 100 numbers: no contact has so many" },
        { line: 5, reason: "longer than 64 KiB" },
      ],
      reading: { columns: Array.from({ length: 50 }, () => "tel"), several: 1 },
    });
  });

  test("of a JSON array with items of 10 MB costs those items alone", async () => {
    const long = `{"phone":"+79160000301","note":"${"x".repeat(10_000_000)}"}`;
    const answer = await upload(`[${long},{"phone":"+79160000302"}]`);
    expect(answer.json()).toMatchObject({
      counts: { accepted: 1, rejected: 1 },
      rejects: [{ line: 1, reason: "longer than 64 KiB" }],
      reading: { unit: "item", format: "JSON" },
    });
  });

  test.each<[string, Buffer, RegExp]>([
    [
      "with macros",
      zipParts({ ...parts, "xl/vbaProject.bin": "x" }),
      /with macros \(\.xlsm\): save it as \.xlsx/,
    ],
    ["of the old kind", Buffer.from("d0cf11e0a1b11ae10000", "hex"), /an old Excel workbook \(\.xls\)/],
    ["cut off", zipParts(parts).subarray(0, 700), /damaged or incomplete/],
    [
      "that is a bomb",
      zipParts({ ...parts, [sheet]: new Uint8Array(20_000_000) }),
      /more than 400 times its size/,
    ],
    [
      "that is a bomb in gzip",
      gzipSync(Buffer.alloc(20_000_000, "PK\u0003\u0004")),
      /unzips to more than 400 times/,
    ],
    [
      "with entities",
      zipParts({ ...parts, [sheet]: "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>" }),
      /a DTD has no place there/,
    ],
    [
      "without the sheet that is asked for",
      zipParts(parts),
      /no sheet "Other" for the parameter sheet; there is "S"/,
    ],
  ])("of a workbook %s is refused in words, and leaves no batch", async (_, body, words) => {
    const answer = await upload(body, words.source.includes("Other") ? { sheet: "Other" } : {});
    expect(answer.json()).toMatchObject({
      status: 422,
      code: "unusable-input",
      detail: expect.stringMatching(words) as string,
    });
    expect(answer.json()).not.toHaveProperty("batchId");
  });

  test("of a card without its end is told by the card and its line", async () => {
    const answer = await upload(
      "BEGIN:VCARD\r\nTEL:+79160000401\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:Anna One\r\nTEL:+7916",
    );
    expect(answer.json()).toMatchObject({
      counts: { accepted: 1, rejected: 1 },
      rejects: [
        {
          line: 2,
          place: "card 2, line 4",
          text: "",
          reason: expect.stringContaining("END:VCARD") as string,
        },
      ],
    });
  });
});
