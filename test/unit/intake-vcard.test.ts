import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createReading } from "../../src/domain/requests/reading.ts";
import { readContacts } from "../../src/intake/read-contacts.ts";
import { UserError } from "../../src/lib/errors.ts";
import { describeIntake, readIntake } from "../support/read-intake.ts";

const card = (...lines: string[]) =>
  ["BEGIN:VCARD", "VERSION:3.0", "FN:Anna One", ...lines, "END:VCARD"].join("\r\n");
const cards = (...all: string[]) => `${all.join("\r\n")}\r\n`;
const ann = "79160000401@c.us";

/** Of the versions 2.1, 3.0 and 4.0, as phones write them. */
const book = `BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=98=D0=B2=D0=B0=D0=BD=D0=BE=D0=B2;=D0=98=D0=B2=D0=B0=
=D0=BD;;;
TEL;CELL:+7-916-000-04-01
TEL;HOME:84950000402
END:VCARD
BEGIN:VCARD
VERSION:3.0
FN:Clara Three
item1.TEL;type=CELL;waid=79160000403:+7 916 000-04-03
item1.X-ABLabel:Mobile
NOTE:a note that is folded here and goes on in the next line\\, with TEL:+79990000000
  in it
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Dora
UID:urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1
TEL;VALUE=uri;TYPE="cell,voice";PREF=1:tel:+7-916-000-04-04
TEL;VALUE=uri;TYPE=home:tel:+7-495-000-04-05;ext=102
END:VCARD
BEGIN:VCARD
VERSION:3.0
FN:No number
EMAIL:n@example.com
END:VCARD
`;
const bookRecords = [
  "1 79160000401@c.us",
  "1 74950000402@c.us",
  "2 79160000403@c.us",
  "3 79160000404@c.us urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1",
  "3 74950000405@c.us urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1",
  "card 4, line 23 ! : no chat id or phone number",
];

describe("an address book", () => {
  test.each([
    ["LF", (text: string) => text],
    ["CRLF", (text: string) => text.replaceAll("\n", "\r\n")],
    ["CR", (text: string) => text.replaceAll("\n", "\r")],
    [
      "blank lines before and between",
      (text: string) => `\n\n${text.replaceAll("END:VCARD", "END:VCARD\n\n")}`,
    ],
    [
      "other capitals",
      (text: string) => text.replaceAll(/(?:BEGIN|END):VCARD|^TEL|UID/gm, (m) => m.toLowerCase()),
    ],
  ])("is read with %s", async (name, change) => {
    const records = await describeIntake(change(book), { defaultCountry: "RU" });
    expect(records.filter((line) => !line.includes("!"))).toEqual(bookRecords.slice(0, -1));
    if (name.length < 5) expect(records).toEqual(bookRecords);
  });

  test("is read from UTF-16, gzip, and in pieces of any size", async () => {
    for (const bytes of [
      Buffer.from(`\ufeff${book}`, "utf16le"),
      gzipSync(book),
      Buffer.from(`\ufeff${book}`),
    ]) {
      expect(await describeIntake(bytes, { defaultCountry: "RU" })).toEqual(bookRecords);
      const pieces = [...bytes].map((byte) => Uint8Array.of(byte));
      expect(await describeIntake(pieces, { defaultCountry: "RU" })).toEqual(bookRecords);
    }
  });

  test("says what it is, and what was read of it", async () => {
    const reading = createReading();
    await readIntake(book, { reading });
    expect(reading).toMatchObject({ unit: "card", format: "vCard", columns: ["TEL"], refColumn: "UID" });
  });
});

describe("a card", () => {
  test.each([
    ["with parameters of 2.1", "TEL;WORK;VOICE;PREF:+7 916 000-04-01"],
    ["with quoted parameters that hold a colon", 'TEL;X-A="a:b;c";TYPE=CELL:+79160000401'],
    ["folded inside of its number", "TEL;TYPE=CELL:+7 916 0\r\n 00-04-01"],
    ["folded inside of its parameters", "TEL;TYPE=CE\r\n\tLL:+7 916 000-04-01"],
    ["in quoted-printable", "TEL;CELL;ENCODING=QUOTED-PRINTABLE:=2B7 916 =\r\n000=2D04=2D01"],
    [
      "in quoted-printable of another charset",
      "TEL;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-16LE:=2B=007=009=001=006=000=000=000=000=004=000=001=00",
    ],
    ["in a charset that does not exist", "TEL;ENCODING=QUOTED-PRINTABLE;CHARSET=X-NONE:=2B79160000401"],
    ["as a tel: URI with percent signs", "TEL;VALUE=uri:tel:%2B7-916-000-04-01"],
    ["as a local tel: URI with its context", "TEL;VALUE=uri:tel:916-000-04-01;phone-context=+7"],
    ["as a link to WhatsApp", "TEL:https://wa.me/79160000401"],
    ["in a group", "ITEM12.tel:+79160000401"],
    ["with escapes", "TEL:+7 (916) 000\\-04\\-01"],
    ["twice", "TEL:+79160000401\r\nTEL;HOME:8 916 000-04-01"],
    ["beside words", "TEL:+7 916 000-04-01 (mobile)"],
    ["beside a blank one", "TEL:\r\nTEL;WORK: \r\nTEL:+79160000401"],
    ["beside a line that is no property", "TEL\r\nTEL:+79160000401\r\nno property"],
    ["of WhatsApp, whatever the number beside it", "TEL;waid=79160000401:+52 1 55 0000 0000"],
    ["with a waid that is none", "TEL;waid=0:+79160000401"],
  ])("may have its number %s", async (_, lines) => {
    expect(await describeIntake(cards(card(lines)), { defaultCountry: "RU" })).toEqual([`1 ${ann}`]);
  });

  test("hides what looks like a number in folded and in quoted text", async () => {
    const note = "NOTE;ENCODING=QUOTED-PRINTABLE:call=\r\nTEL:+79990000001=\r\nTEL:+79990000002";
    const photo = `PHOTO;ENCODING=b;TYPE=JPEG:${"/9j/4AAQ\r\n ".repeat(2000)}TEL:+79990000003`;
    const old = "PHOTO;ENCODING=BASE64;JPEG:\r\n /9j/4AAQSk=\r\n\r\n";
    const records = await describeIntake(cards(card(note, photo, old, "TEL:+79160000401")));
    expect(records).toEqual([`1 ${ann}`]);
  });

  test("has the reference that is its UID, wherever it stands, or the property that is asked for", async () => {
    const text = cards(
      card("TEL:+79160000401", "X-CRM-ID:c\\,1", "item1.UID:u-1"),
      card("UID:\r\nTEL:+79160000401"),
    );
    expect(await describeIntake(text)).toEqual([`1 ${ann} u-1`, `2 ${ann}`]);
    expect(await describeIntake(text, { refColumn: "x-crm-id" })).toEqual([`1 ${ann} c,1`, `2 ${ann}`]);
  });

  test("is read by the property that is asked for, and no other", async () => {
    const text = cards(card("TEL:+79160000402", "X-WhatsApp:+79160000401"));
    expect(await describeIntake(text, { column: "X-WHATSAPP" })).toEqual([`1 ${ann}`]);
  });

  test("gives the likeliest mobile where one is asked for", async () => {
    const text = cards(card("TEL;FAX:+79160000403", "TEL;HOME:+74950000405", "TEL;TYPE=cell:+79160000401"));
    expect(await describeIntake(text, { firstNumber: true })).toEqual([`1 ${ann}`]);
  });

  test("leaves the card of an agent inside of it alone", async () => {
    const agent = "AGENT:\r\nBEGIN:VCARD\r\nVERSION:2.1\r\nTEL:+79160000402\r\nUID:other\r\nEND:VCARD";
    expect(await describeIntake(cards(card(agent, "TEL:+79160000401"), card("TEL:+79160000401")))).toEqual([
      `1 ${ann}`,
      `2 ${ann}`,
    ]);
  });

  test("without its end is told, and the next one is read", async () => {
    const cut = ["BEGIN:VCARD", "FN:Anna One", "TEL:+7916000"].join("\r\n");
    expect(await describeIntake(cards(cut, card("TEL:+79160000401"), cut))).toEqual([
      "card 1, line 1 ! : has no END:VCARD: the file may have been cut off there",
      `2 ${ann}`,
      "card 3, line 9 ! : has no END:VCARD: the file may have been cut off there",
    ]);
  });

  test("is told by its number and line, with its value, and without its name", async () => {
    const records = await describeIntake(cards(card("TEL:+79160000401"), card("TEL;CELL:12", "TEL:x")));
    expect(records).toEqual([
      `1 ${ann}`,
      'card 2, line 9 ! 12, x: "12" is not an international phone number; use --default-country for national ones',
    ]);
  });
});

describe("what is out of bounds", () => {
  test("is refused: more numbers than a person has", async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => `TEL:+7916${1_000_000 + index}`);
    expect(await describeIntake(cards(card(...many), card("TEL:+79160000401")))).toEqual([
      expect.stringMatching(
        /^card 1, line 1 ! \+79161000000, .*: holds more than 100 numbers: no contact has so many$/,
      ),
      `2 ${ann}`,
    ]);
  });

  test.each([
    ["in one line", "x".repeat(10_000_000)],
    ["folded", "x\r\n ".repeat(2_000_000)],
  ])("is refused: a number of 10 MB %s", async (_, value) => {
    expect(await describeIntake(cards(card(`TEL:${value}`), card("TEL:+79160000401")))).toEqual([
      "card 1, line 4 ! : a number longer than 4 KiB",
      `2 ${ann}`,
    ]);
  });

  test("costs no memory: a picture of 100 MB", async () => {
    const line = Buffer.from(` ${"A".repeat(73)}\r\n`.repeat(850));
    async function* write() {
      yield Buffer.from("BEGIN:VCARD\r\nTEL:+79160000401\r\nPHOTO;ENCODING=b:AAAA\r\n");
      for (let written = 0; written < 100e6; written += line.length) yield line;
      yield Buffer.from("END:VCARD\r\n");
    }
    const before = process.memoryUsage().rss;
    let peak = before;
    let contacts = 0;
    for await (const records of readContacts(Readable.from(write()))) contacts += records.length;
    peak = Math.max(peak, process.memoryUsage().rss);
    expect(contacts).toBe(1);
    expect(peak - before).toBeLessThan(150e6);
  });

  test("any lines at all give records in order, or a UserError", async () => {
    const piece = fc.constantFrom(
      "BEGIN:VCARD",
      "END:VCARD",
      "TEL",
      "TEL;CELL:+79160000401",
      "TEL;ENCODING=QUOTED-PRINTABLE:=2B7=",
      "UID:u",
      "AGENT:",
      "PHOTO;ENCODING=b:AA",
      ";",
      ":",
      '"',
      "=",
      " ",
      "\\",
      "\t",
      "\r\n",
      "\n",
      "\r",
      "item1.",
      "\u0000",
      "é",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 60 }), async (pieces) => {
        try {
          const records = await readIntake(`BEGIN:VCARD\r\n${pieces.join("")}`);
          const positions = records.map(({ position }) => position);
          expect(positions).toEqual(positions.toSorted((a, b) => a - b));
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
