import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openSource } from "../../src/intake/bytes/open-source.ts";
import { type IntakeRecord, readContacts, type ReadContactsOptions } from "../../src/intake/read-contacts.ts";

const ann = "79001234567@c.us";
const bob = "447700900123@c.us";

async function readAll(source: Readable, options: ReadContactsOptions = {}): Promise<IntakeRecord[]> {
  const records: IntakeRecord[] = [];
  for await (const chunk of readContacts(source, options)) records.push(...chunk);
  return records;
}

function read(input: string | Uint8Array, options?: ReadContactsOptions): Promise<IntakeRecord[]> {
  return readAll(Readable.from([Buffer.from(input)]), options);
}

/** `line chatId ref`, or `line ! reason`. */
async function readLines(input: string | Uint8Array, options?: ReadContactsOptions): Promise<string[]> {
  const records = await read(input, options);
  return records.map((record) =>
    record.kind === "contact"
      ? [record.position, record.chatId, record.externalRef].filter((part) => part !== undefined).join(" ")
      : `${record.position} ! ${record.reason}`,
  );
}

const userError = (code: string, text: string) =>
  expect.objectContaining({ name: "UserError", code, message: expect.stringContaining(text) });

describe("a table with a header", () => {
  test.each([
    ["chat_id"],
    ["chatId"],
    ["Chat ID"],
    ["CHAT-ID"],
    ["phone"],
    ["phone_number"],
    ["phoneNumber"],
    ["number"],
    ["Mobile"],
    ["MSISDN"],
    ["WhatsApp"],
    ["wa_id"],
    ["JID"],
    ["Телефон"],
    ["Teléfono"],
    ["Phone 1 - Value"],
  ])("is known by the column %s", async (name) => {
    expect(await readLines(`id,${name},city\n1,+7 900 123-45-67,Omsk\n`)).toEqual([`2 ${ann}`]);
  });

  test.each([[","], [";"], ["\t"], ["|"]])("may be delimited by %j", async (delimiter) => {
    const rows = [
      ["name", "phone", "external_ref"],
      ["Ann", "+79001234567", "crm-1"],
    ];
    expect(await readLines(rows.map((row) => row.join(delimiter)).join("\n"))).toEqual([`2 ${ann} crm-1`]);
  });

  test("may start with Excel's sep= line", async () => {
    expect(await readLines("sep=;\nphone;ref\n79001234567;a\n")).toEqual([`3 ${ann} a`]);
  });

  test("prefers the chat id, and falls back to the phone where its cell is empty", async () => {
    const csv = `phone,number,chat_id\n447700900123,1,${ann}\n447700900123,1,\n,447700900123, \n`;
    expect(await readLines(csv)).toEqual([`2 ${ann}`, `3 ${bob}`, `4 ${bob}`]);
  });

  test("does not look past a chat id that is broken", async () => {
    expect(await readLines("phone,chat_id\n447700900123,x@newsletter\n")).toEqual([
      '2 ! unknown kind of chat "@newsletter": expected @c.us, @g.us or @lid',
    ]);
  });

  test("is read by --column and --ref-column, as names or numbers", async () => {
    const csv = "id,Work line,phone\ncrm-1,447700900123,79001234567\n";
    expect(await readLines(csv, { column: "work_line", refColumn: "ID" })).toEqual([`2 ${bob} crm-1`]);
    expect(await readLines(csv, { column: "2", refColumn: "1" })).toEqual([`2 ${bob} crm-1`]);
    expect(await readLines("crm-1,447700900123\n", { column: "2", refColumn: "1" })).toEqual([
      `1 ${bob} crm-1`,
    ]);
  });

  test("without a known column, or the wanted one, lists those it has", async () => {
    const csv = 'id,"full, name"\n1,Ann\n';
    await expect(read(csv)).rejects.toEqual(
      userError("no-contact-column", '"id", "full, name": say which one'),
    );
    await expect(read(csv, { column: "tel" })).rejects.toEqual(
      userError("column-not-found", 'no column "tel" for --column; there is "id", "full, name"'),
    );
    await expect(read("phone\n1\n", { refColumn: "3" })).rejects.toEqual(
      userError("column-not-found", 'no column "3" for --ref-column'),
    );
  });

  test("may have line breaks in its header and its cells, and the lines are counted right", async () => {
    const csv = `"Full\nname",phone,"external_ref"\n"Ann\r\n""A""\nLee",+79001234567,"a\nb"\n\n"Bob",+447700900123,c\n`;
    expect(await readLines(csv)).toEqual([`3 ${ann} ab`, `8 ${bob} c`]);
  });

  test("skips blank lines and rows of delimiters alone, and rejects rows without a number", async () => {
    expect(await readLines("\n \nphone,name\n,,\n\n,Ann\n")).toEqual(["6 ! no chat id or phone number"]);
  });

  test("takes quotes where spreadsheets put them", async () => {
    const csv = [
      "name,phone",
      'Rod 5" ,79001234567',
      'Ann,="79001234567"',
      'Ann,"=""79001234567"""',
      '"Lee, Ann" , "79001234567"',
    ];
    expect(await readLines(csv.join("\n"))).toEqual([2, 3, 4, 5].map((line) => `${line} ${ann}`));
  });

  test("loses only the lines whose quotes are broken", async () => {
    const csv = [
      "chat_id,name",
      `${ann},"Ann "A" Lee"`,
      `"${ann},Ann`,
      `${bob},Bob`,
      `${ann},"Ann", `,
      `"${bob},x`,
    ];
    const records = await readLines(csv.join("\n"));
    expect(records.map((record) => record.slice(0, 10))).toEqual([
      "2 ! broken",
      "3 ! broken",
      "4 44770090",
      "5 79001234",
      "6 ! a quot",
    ]);
  });

  test("an unclosed quote costs one line of 5,000", async () => {
    const rows = Array.from({ length: 5000 }, (_, index) => `7900${1_000_000 + index},x`);
    rows[10] = `"${rows[10]}`;
    const records = await read(`phone,name\n${rows.join("\n")}`);
    expect(records.length).toBe(5000);
    expect(records.filter((record) => record.kind === "reject")).toEqual([
      { kind: "reject", position: 12, text: rows[10], reason: "a quote opens a field and never closes it" },
    ]);
    expect(records.map((record) => record.position)).toEqual(rows.map((_, index) => index + 2));
  });

  test("a header whose quotes are broken is the user's error", async () => {
    await expect(read('phone,"na"me\n1,2')).rejects.toEqual(userError("broken-header", "line 1"));
  });
});

describe("lines without a header", () => {
  test("are one id or phone each, whatever ends them", async () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      expect(await readLines([ann, "", "+44 7700 900 123", "nobody"].join(end))).toEqual([
        `1 ${ann}`,
        `3 ${bob}`,
        '4 ! "nobody" is neither a phone number nor a chat id',
      ]);
    }
  });

  test("are read in their first column, and may start with a broken one", async () => {
    expect(await readLines("7.9E+10;Bob\n79001234567;Ann\n")).toEqual([
      expect.stringContaining("rounded by a spreadsheet"),
      `2 ${ann}`,
    ]);
  });

  test("follow the default country", async () => {
    expect(await readLines("8 900 123-45-67\n", { defaultCountry: "ru" })).toEqual([`1 ${ann}`]);
    expect(() => readContacts(Readable.from([]), { defaultCountry: "XX" })).toThrow(
      userError("unknown-country", "for example RU"),
    );
  });
});

describe("NDJSON", () => {
  test("has the id and the reference under known keys, as text or numbers", async () => {
    const lines = [
      { chatId: ann, externalRef: "crm-1", phone: "447700900123" },
      { chat_id: null, phone: 447700900123, external_ref: 17 },
      { name: "Ann" },
      { phone: ["79001234567"] },
      { phone: 79001234567.5 },
    ];
    expect(await readLines(lines.map((line) => JSON.stringify(line)).join("\n\n"))).toEqual([
      `1 ${ann} crm-1`,
      `3 ${bob} 17`,
      "5 ! no chat id or phone number",
      `7 ${ann}`,
      '9 ! "phone" is neither text nor a whole number',
    ]);
  });

  test("rejects lines that are no objects", async () => {
    const ndjson = `{"phone":"79001234567"}\n{"phone":\n[1]\nnull\n{"__proto__":{"phone":"79001234567"}}`;
    expect(await readLines(ndjson)).toEqual([
      `1 ${ann}`,
      "2 ! not a JSON object",
      "3 ! not a JSON object",
      "4 ! not a JSON object",
      "5 ! no chat id or phone number",
    ]);
  });

  test("is read by --column and --ref-column", async () => {
    expect(
      await readLines('{"a":"79001234567","b":"r","phone":"1"}', { column: "A", refColumn: "b" }),
    ).toEqual([`1 ${ann} r`]);
  });
});

describe("bytes", () => {
  const csv = `name,chat_id\nŁukasz,${ann}\n`;

  test.each([
    ["gzip", gzipSync(csv)],
    ["gzip of several members", Buffer.concat([gzipSync("name,chat_id\n"), gzipSync(`Łukasz,${ann}\n`)])],
    ["UTF-8 with a byte order mark", Buffer.from(`\ufeff${csv}`)],
    ["UTF-16 little-endian", Buffer.from(`\ufeff${csv}`, "utf16le")],
    ["UTF-16 big-endian", Buffer.from(`\ufeff${csv}`, "utf16le").swap16()],
    ["UTF-16 in gzip", gzipSync(Buffer.from(`\ufeff${csv}`, "utf16le"))],
  ])("may be %s", async (_, bytes) => {
    expect(await readLines(bytes)).toEqual([`2 ${ann}`]);
  });

  test("that are not UTF-8 matter in the cells we use, and nowhere else", async () => {
    const latin1 = Buffer.from(
      `name,phone,ref\nJosé,79001234567,a\nAnn,7900é,a\nAnn,79001234567,é\n`,
      "latin1",
    );
    expect(await readLines(latin1)).toEqual([
      `2 ${ann} a`,
      '3 ! "7900é" is neither a phone number nor a chat id',
      `4 ${ann} é`,
    ]);
    expect(await readLines(latin1, { encoding: "utf-8" })).toEqual([
      `2 ${ann} a`,
      "3 ! not UTF-8 text",
      "4 ! the external reference is not UTF-8 text",
    ]);
  });

  test("of nothing yield nothing", async () => {
    for (const nothing of ["", "\ufeff", "\n\n \r\n", gzipSync("")]) expect(await read(nothing)).toEqual([]);
  });

  test("of a cut or damaged gzip are the user's error, after what could be read", async () => {
    const whole = gzipSync(
      Array.from({ length: 30_000 }, (_, index) =>
        `7900${(index * 7919 + 1_000_000) % 10_000_000}`.padEnd(11, "0"),
      ).join("\n"),
    );
    const records: IntakeRecord[] = [];
    const reading = (async () => {
      const source = Readable.from([whole.subarray(0, whole.length - 2000)]);
      for await (const chunk of readContacts(source, {})) records.push(...chunk);
    })();
    await expect(reading).rejects.toEqual(userError("broken-gzip", "ends too early"));
    expect(records.length).toBeGreaterThan(1000);
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, 2000, 2100);
    await expect(read(damaged)).rejects.toEqual(userError("broken-gzip", "damaged"));
  });

  test("of a line without an end are not held, and cost that line alone", async () => {
    const long = "9".repeat(300_000);
    const source = Readable.from([ann, "\n", ...Array.from({ length: 50 }, () => long), `\n${bob}`]);
    const records = await readAll(source);
    expect(records.map(({ position, kind }) => ({ position, kind }))).toEqual([
      { position: 1, kind: "contact" },
      { position: 2, kind: "reject" },
      { position: 3, kind: "contact" },
    ]);
    expect(records[1]).toMatchObject({ reason: "longer than 64 KiB", text: `${"9".repeat(199)}…` });
  });

  test("that stop with an error are the user's error", async () => {
    const source = Readable.from(
      (function* () {
        yield `${ann}\n`;
        throw new Error("EIO: secret detail");
      })(),
    );
    await expect(readAll(source)).rejects.toEqual(userError("input-unreadable", "could not be read"));
  });
});

describe("records", () => {
  test("keep a reference without control characters, up to 200 long", async () => {
    const long = "r".repeat(201);
    expect(await readLines(`phone\tref\n79001234567\t a\u0000\u0007b \n79001234567\t${long}\n`)).toEqual([
      `2 ${ann} ab`,
      "3 ! the external reference is longer than 200 characters",
    ]);
  });

  test("come in chunks of at most 1,000, before the input ends", async () => {
    let pulled = 0;
    const source = Readable.from(
      (function* () {
        for (; pulled < 400; pulled++) yield `${ann}\n`.repeat(3000);
      })(),
      { highWaterMark: 1 },
    );
    for await (const chunk of readContacts(source)) {
      expect(chunk.length).toBeLessThanOrEqual(1000);
      break;
    }
    expect(pulled).toBeLessThan(20);
    expect(source.destroyed).toBe(true);
  });
});

describe("the example file", () => {
  test("has 494 contacts, 482 of them distinct, and 6 broken lines", async () => {
    const source = await openSource(new URL("../../examples/contacts.csv", import.meta.url).pathname);
    const records = await readAll(source);
    const chats = records.flatMap((record) => (record.kind === "contact" ? [record.chatId] : []));
    expect([records.length, chats.length, new Set(chats).size]).toEqual([500, 494, 482]);
  });
});

describe("openSource", () => {
  test("- is stdin", async () => {
    expect(await openSource("-")).toBe(process.stdin);
  });

  test("a missing file and a directory are the user's errors", async () => {
    await expect(openSource("/nowhere/contacts.csv")).rejects.toEqual(
      userError("file-not-found", "cannot read /nowhere/contacts.csv: there is no such file"),
    );
    await expect(openSource(".")).rejects.toEqual(userError("file-is-directory", "it is a directory"));
    await expect(openSource("a\0b")).rejects.toEqual(userError("file-not-readable", "cannot read a b"));
  });
});
