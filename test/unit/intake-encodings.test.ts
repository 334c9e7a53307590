import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createReading } from "../../src/domain/requests/reading.ts";
import { detectEncoding } from "../../src/intake/bytes/detect-encoding.ts";
import { createDecoder, parseEncoding } from "../../src/intake/bytes/encodings.ts";
import { readContacts } from "../../src/intake/read-contacts.ts";
import { readIdName } from "../../src/intake/records/column-names.ts";

const knowsName = (cell: string) => readIdName(cell) !== undefined;

/** What each byte, or each two, of an encoding are: the way back, which the platform has not. */
function toBytes(encoding: string, text: string): Buffer {
  const bytes = new Map<string, number[]>();
  const decoder = new TextDecoder(encoding);
  const add = (...code: number[]) => {
    const character = createDecoder(encoding).decode(Buffer.from(code));
    if (!bytes.has(character)) bytes.set(character, code);
  };
  for (let byte = 0; byte < 0x100; byte += 1) add(byte);
  if (/^(?:gb18030|gbk|shift_jis|big5|euc-kr)$/.test(decoder.encoding)) {
    for (let lead = 0x81; lead < 0xff; lead += 1) {
      for (let trail = 0x40; trail < 0xff; trail += 1) add(lead, trail);
    }
  }
  return Buffer.from(Array.from(text).flatMap((character) => bytes.get(character) ?? fail(character)));
}

function fail(character: string): never {
  throw new Error(`cannot be written: ${character}`);
}

describe("a code page", () => {
  test.each([
    ["windows-1251", "Имя;Рабочий телефон;Город\nАнна;+79160000201;Москва\n"],
    ["windows-1251", "Имя;phone;Город\nАнна;+79160000201;Москва\nПётр;;Орёл\n"],
    ["windows-1251", "name;phone;city\nПётр;+79160000201;Тверь\n"],
    ["windows-1251", "name;phone;city\nМихайло;+380670000201;Київ\n"],
    ["ibm866", "Имя;Рабочий телефон;Город\nАнна;+79160000201;Москва\n"],
    ["koi8-r", "name;phone;city\nАнна;+79160000201;Москва\n"],
    ["x-mac-cyrillic", "Имя;Телефон;Город\nАнна;+79160000201;Москва\n"],
    ["windows-1252", "Prénom;Téléphone;Ville\nRené;+33600000000;Besançon\n"],
    ["windows-1252", "name;phone;city\nMüller;+491700000000;Köln\n"],
    ["windows-1252", "name;phone;city\nJosé Núñez;+34600000000;A Coruña\n"],
    ["windows-1252", "name;phone;city\nJoão;+5511900000000;São Paulo\nConceição;1;Avaí\n"],
    ["windows-1252", "name;phone;city\nSøren Åström;+4520000000;Ærø\n"],
    ["windows-1250", "Imię;Telefon;Miasto\nŁukasz Żuk;+48600000000;Łódź\n"],
    ["windows-1250", "Jméno;Telefon;Město\nJiří Dvořák;+420600000000;Plzeň\n"],
    ["windows-1254", "Ad;Telefon;Şehir\nAyşe Yıldız;+905300000000;İzmir\n"],
    ["shift_jis", "氏名,電話番号,携帯電話\n山田太郎,0300000000,09000000000\n"],
    ["gb18030", "姓名,手机号码,城市\n张伟,13800000000,北京\n"],
    ["big5", "姓名,電話,手機\n王小明,0200000000,0912000000\n"],
    ["euc-kr", "이름,전화번호,휴대폰\n김철수,020000000,01000000000\n"],
    ["windows-1253", "Όνομα;Τηλέφωνο\nΓιώργος;+306900000000\n"],
  ])("%s is told by what it says: %j", (encoding, text) => {
    const bytes = toBytes(encoding, text);
    const [header = ""] = text.split("\n");
    const isAscii = !/[^\0-\x7f]/.test(header);
    const line = isAscii ? undefined : toBytes(encoding, header);
    expect(detectEncoding(bytes, line, knowsName)).toBe(encoding);
  });

  test("is not told from bytes that are words in none", () => {
    const noise = Buffer.from(Array.from({ length: 500 }, (_, index) => 0x80 + ((index * 83) % 0x80)));
    expect(detectEncoding(noise, undefined, knowsName)).toBeUndefined();
  });

  test("is known by its labels, and others are refused", () => {
    expect(["CP1251", "windows-1251", "cp-1252", "SJIS", "UTF8", "latin1"].map(parseEncoding)).toEqual([
      "windows-1251",
      "windows-1251",
      "windows-1252",
      "shift_jis",
      "utf-8",
      "windows-1252",
    ]);
    expect(() => parseEncoding("klingon")).toThrow(/unknown encoding "klingon": give a name such as/);
  });

  test("windows-1252 has its signs between ASCII and Latin-1", () => {
    expect(createDecoder("windows-1252").decode(Buffer.from([0x80, 0x8a, 0x9c, 0xe9]))).toBe("€Šœé");
  });
});

interface Seen {
  readonly encoding: string | undefined;
  readonly refs: (string | undefined)[];
  readonly reasons: string[];
}

async function see(chunks: Iterable<Buffer>, encoding?: string): Promise<Seen> {
  const reading = createReading();
  const refs: (string | undefined)[] = [];
  const reasons: string[] = [];
  const options = { reading, ...(encoding !== undefined && { encoding }) };
  for await (const records of readContacts(Readable.from(chunks), options)) {
    for (const record of records) {
      if (record.kind === "contact") refs.push(record.externalRef);
      else reasons.push(`${record.position} ${record.reason}`);
    }
  }
  return { encoding: reading.encoding, refs: refs.filter((ref) => ref !== undefined), reasons };
}

describe("a text", () => {
  const ascii = "phone,ref\n" + "79001234567,\n".repeat(50_000);

  test("that is ASCII for 50,000 lines is decided about where it ends to be", async () => {
    const late = (text: Buffer) => [Buffer.from(ascii), Buffer.from("79001234567,"), text, Buffer.from("\n")];
    expect(await see(late(Buffer.from("Пётр")))).toEqual({ encoding: "utf-8", refs: ["Пётр"], reasons: [] });
    expect(await see(late(toBytes("windows-1251", "Пётр")))).toEqual({
      encoding: "windows-1251",
      refs: ["Пётр"],
      reasons: [],
    });
    expect(await see([Buffer.from(ascii)])).toMatchObject({ encoding: undefined, reasons: [] });
  });

  test("that was UTF-8 costs the cells that are not, and none besides", async () => {
    const mixed = ["79001234567,", toBytes("windows-1251", "Пётр"), "\n79001234567,Пётр\n"];
    const input = [`phone,ref\n79001234567,Анна\n`, ...mixed].map((part) => Buffer.from(part));
    expect(await see(input)).toEqual({
      encoding: "utf-8",
      refs: ["Анна", "Пётр"],
      reasons: ["3 the external reference is not UTF-8 text"],
    });
  });

  test("is what the user says it is", async () => {
    const bytes = toBytes("koi8-r", "phone,ref\n79001234567,пЕТР\n");
    expect((await see([bytes], "koi8-r")).refs).toEqual(["пЕТР"]);
    expect((await see([bytes], "cp1251")).refs).toEqual(["РеФТ"].map(() => expect.any(String) as string));
    expect((await see([bytes], "cp1251")).encoding).toBe("windows-1251");
    expect((await see([Buffer.from("phone\n79001234567\n", "utf16le")], "utf-16le")).encoding).toBe(
      "utf-16le",
    );
  });

  test("in UTF-8 is found to be that wherever its bytes are cut, whatever it says", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }),
        fc.array(fc.nat(200)),
        async (name, cuts) => {
          const bytes = Buffer.from(`phone,ref\n79001234567,Ж${name.replace(/[",;\t|\p{C}]/gu, "")}\n`);
          const chunks = [...new Set([0, ...cuts, bytes.length])]
            .toSorted((a, b) => a - b)
            .map((from, index, all) => bytes.subarray(from, all[index + 1]));
          expect((await see(chunks)).encoding).toBe("utf-8");
        },
      ),
      { numRuns: 200 },
    );
  });
});
