import type { CountryCode } from "libphonenumber-js/max";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCell } from "../../src/intake/ids/parse-cell.ts";
import { type NumberOptions, toRecords } from "../../src/intake/records/to-records.ts";

function list(cell: string, country?: CountryCode): string[] {
  const parsed = parseCell(cell, country);
  if (parsed === "too-many") return ["too many"];
  return parsed.map((id) => (id.ok ? id.chatId.replace("@c.us", "") : `! ${id.reason}`));
}

const a = "79160000301";
const b = "79160000302";

describe("a cell with several numbers", () => {
  test.each([
    ["+7 916 000-03-01, +7 916 000-03-02"],
    ["+7 916 000-03-01,+7 916 000-03-02"],
    ["+7 916 000-03-01; +7 916 000-03-02;"],
    ["+79160000301/+79160000302"],
    ["+79160000301 / +79160000302"],
    ["+7 916 000 03 01 / 7 916 000 03 02"],
    ["79160000301/79160000302"],
    ["+79160000301 ::: +79160000302"],
    ["+79160000301\n+79160000302"],
    ["+79160000301\r\n+79160000302"],
    ["+79160000301|+79160000302"],
    ["+79160000301 +79160000302"],
    ["+7 916 000-03-01 (mobile), +7 916 000-03-02 ext. 12"],
    ["mob. +7 (916) 000-03-01 or work: +7 (916) 000-03-02 x 5"],
    ["+7 916 000-03-01 доб. 12; моб. +7 916 000-03-02"],
    ["Anna <+79160000301>, Boris, +79160000302, flat 12"],
    ["+79160000301\uff0c+79160000302"],
    ["\u202a+79160000301\u202c, \u202a+79160000302\u202c"],
    ["79160000301@c.us, 79160000302@c.us"],
    ["79160000301@c.us 79160000302@s.whatsapp.net"],
    ["https://wa.me/79160000301, https://wa.me/79160000302"],
    ["https://wa.me/79160000301 https://wa.me/79160000302"],
    ["anna@example.com, +79160000301, +79160000302"],
    ["tel:+79160000301, tel:+79160000302"],
  ])("%j gives both", (cell) => {
    expect(list(cell)).toEqual([a, b]);
  });

  test.each<[string, CountryCode, string[]]>([
    ["+49 30/901820", "RU", ["4930901820"]],
    ["030/901820", "DE", ["4930901820"]],
    ["030 / 901820", "DE", ["4930901820"]],
    ["030/901820, 030/901821", "DE", ["4930901820", "4930901821"]],
    ["030/901820 / 030/901821", "DE", ["4930901820", "4930901821"]],
    ["+49 30 901820, 030901821", "DE", ["4930901820", "4930901821"]],
    ["+7 916 000 03 03; 8 916 000-03-04", "RU", ["79160000303", "79160000304"]],
    ["8 916 000 03 03/8 916 000 03 04", "RU", ["79160000303", "79160000304"]],
    ["+7 (916) 000-03-05, доб. 5", "RU", ["79160000305"]],
    ["+7 916 000-03-07 (Anna, 2nd floor)", "RU", ["79160000307"]],
    ["Мобильный: 8 916 000-03-07", "RU", ["79160000307"]],
  ])("%j of %s gives what it holds", (cell, country, numbers) => {
    expect(list(cell, country)).toEqual(numbers);
  });

  test.each([
    ["79,001,234,567", /neither a phone number/],
    ["7,91600003E+10", /rounded by a spreadsheet/],
    ["nobody", /^! "nobody" is neither/],
    ["8 916 000-03-04, 8 916 000-03-05", /^! "8 916 000-03-04" .*--default-country/],
    ["1, 2, 3", /neither a phone number/],
  ])("%j is none", (cell, reason) => {
    expect(list(cell)[0]).toMatch(reason);
  });

  test("with a prefilled message is one link", () => {
    expect(list("https://wa.me/79160000301?text=call, +79160000302")).toEqual([a]);
  });

  test("of thousands is turned away, in little time", () => {
    const cell = Array.from({ length: 4_000 }, (_, index) => `+7916${1_000_000 + index}`);
    for (const between of [",", " ", "/", " x "]) expect(list(cell.join(between))).toEqual(["too many"]);
  });
});

const contact = (number: string, externalRef?: string) => ({
  kind: "contact",
  position: 7,
  chatId: `${number}@c.us`,
  externalRef,
});

describe("any cell", () => {
  const number = fc.integer({ min: 0, max: 9_999_999 }).map((n) => `+7916${String(n).padStart(7, "0")}`);
  const between = fc.constantFrom(
    ", ",
    ",",
    ";",
    "; ",
    " / ",
    "/",
    " ::: ",
    "\n",
    "\r\n",
    " | ",
    " ",
    " or ",
    "\u3001",
  );
  const around = fc.constantFrom("", "mob. ", "(work) ", "Анна: ", "№ ", "[1] ");
  const behind = fc.constantFrom("", " (home)", " ext. 12", " доб. 5", " x7", ".");

  test("gives each number in it once, whatever is between and around them", () => {
    const entry = fc
      .tuple(around, number, behind)
      .map((parts) => ({ text: parts.join(""), number: parts[1] }));
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 8 }), between, (entries, glue) => {
        const cell = entries.map(({ text }) => text).join(glue);
        const found = toRecords({ line: 1, text: cell }, [cell], undefined, {
          defaultCountry: undefined,
          firstNumber: false,
        });
        const wanted = new Set(entries.map((each) => `${each.number.slice(1)}@c.us`));
        expect(found.map((record) => record.kind === "contact" && record.chatId)).toEqual([...wanted]);
      }),
    );
  });

  test("gives something, or says what is wrong with it", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "+",
        "7",
        "00",
        "9160000301",
        "@",
        "@c.us",
        "/",
        " / ",
        ";",
        ",",
        ":::",
        "wa.me/",
        "://",
        "(",
        "e+10",
        ".",
      ),
      fc.string({ unit: "grapheme", maxLength: 5 }),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 40 }),
        fc.constantFrom(undefined, "RU", "DE"),
        (pieces, country) => {
          const parsed = parseCell(pieces.join(""), country);
          expect(parsed.length).toBeGreaterThan(0);
          if (parsed === "too-many") return;
          for (const id of parsed) {
            expect(id.ok ? id.chatId : id.reason).toMatch(/./);
            expect(parsed.every(({ ok }) => ok) || parsed.every(({ ok }) => !ok)).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("a record", () => {
  const options: NumberOptions = { defaultCountry: "RU", firstNumber: false };
  const source = { line: 7, text: "the line" };
  test("gives each number once, with its reference", () => {
    expect(toRecords(source, ["+79160000301", "8 916 000-03-01; +79160000302", "x"], "r", options)).toEqual([
      contact(a, "r"),
      contact(b, "r"),
    ]);
  });

  test("is turned away only where no cell has a number, with the first fault and its place", () => {
    const placed = { ...source, placeOf: (cell?: number) => `S!${cell}` };
    expect(toRecords(placed, ["x", "y"], "r", options)).toEqual([
      {
        kind: "reject",
        position: 7,
        text: "the line",
        reason: '"x" is neither a phone number nor a chat id',
        place: "S!0",
      },
    ]);
    expect(toRecords(source, [], "r", options)).toMatchObject([{ reason: "no chat id or phone number" }]);
    expect(toRecords(source, [`${a}, ${b}`], "r".repeat(201), options)).toMatchObject([
      { kind: "reject", reason: expect.stringContaining("external reference") as string },
    ]);
  });

  test("gives its likeliest mobile alone where one is wanted", () => {
    const first = { ...options, firstNumber: true };
    expect(toRecords(source, ["+7 495 000-01-03", "+7 916 000-01-04", "+79160000105"], "r", first)).toEqual([
      contact("79160000104", "r"),
    ]);
    expect(toRecords(source, ["+74950000103", "+78120000103"], undefined, first)).toEqual([
      contact("74950000103"),
    ]);
  });
});
