import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createReading } from "../../src/domain/requests/reading.ts";
import { type IntakeRecord, readContacts } from "../../src/intake/read-contacts.ts";
import type { ContactColumns } from "../../src/intake/reader-options.ts";
import { intakeSamples } from "../support/intake-samples.ts";

async function readAll(chunks: Iterable<Buffer>, options: ContactColumns = {}): Promise<IntakeRecord[]> {
  const records: IntakeRecord[] = [];
  for await (const some of readContacts(Readable.from(chunks), options)) records.push(...some);
  return records;
}

function describeRecords(records: readonly IntakeRecord[]) {
  return {
    contacts: records.flatMap((record) =>
      record.kind === "contact"
        ? [
            [record.position, record.chatId.replace("@c.us", ""), record.externalRef]
              .filter(Boolean)
              .join(" "),
          ]
        : [],
    ),
    rejects: records.flatMap(({ kind, position }) => (kind === "reject" ? [position] : [])),
  };
}

const positions = (texts: readonly string[]) => texts.map((text) => text.split(" ")[0]);

describe("an export", () => {
  test.each(intakeSamples)(
    "$name gives each of its numbers",
    async ({ bytes, options, contacts, rejects }) => {
      for (const input of [bytes, gzipSync(bytes)]) {
        expect(describeRecords(await readAll([input], options))).toEqual({ contacts, rejects });
      }
    },
  );

  test.each(intakeSamples)("$name reads the same wherever its bytes are cut", async ({ bytes, options }) => {
    const whole = await readAll([bytes], options);
    for (let at = 1; at < bytes.length; at += 7) {
      expect(await readAll([bytes.subarray(0, at), bytes.subarray(at)], options)).toEqual(whole);
    }
    expect(
      await readAll(
        [...bytes].map((byte) => Buffer.from([byte])),
        options,
      ),
    ).toEqual(whole);
  });

  test.each(intakeSamples)("$name gives one number a record where that is wanted", async (sample) => {
    const { bytes, options, contacts } = sample;
    const records = await readAll([bytes], { ...options, firstNumber: true });
    expect(positions(describeRecords(records).contacts)).toEqual([...new Set(positions(contacts))]);
    expect(records.filter(({ kind }) => kind === "contact").map((record) => record)).toSatisfy(
      (all: readonly IntakeRecord[]) =>
        all.every((record) => record.kind === "contact" && !record.chatId.startsWith("7495")),
    );
  });

  test("is read in one column alone where it is named", async () => {
    const { bytes } = intakeSamples[0]!;
    const records = await readAll([bytes], { column: "Phone 2 - Value" });
    expect(describeRecords(records)).toEqual({
      contacts: ["3 79160000102", "4 79160000104"],
      rejects: [2, 5, 6],
    });
  });

  test("tells how it was read", async () => {
    const told = await Promise.all(
      intakeSamples.slice(0, 4).map(async ({ bytes, options }) => {
        const reading = createReading();
        await readAll([bytes], { ...options, reading });
        return [reading.format, reading.encoding, reading.unit, ...reading.columns, reading.refColumn];
      }),
    );
    expect(told).toEqual([
      ["CSV", undefined, "line", "Phone 1 - Value", "Phone 2 - Value", undefined],
      ["CSV", undefined, "line", "phone", "ref"],
      ["CSV", "windows-1251", "line", "Мобильный телефон", "Рабочий телефон", undefined],
      ["CSV", "utf-16le", "line", "Мобильный телефон", "Рабочий телефон", undefined],
    ]);
  });
});
