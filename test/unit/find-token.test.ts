import fc from "fast-check";
import { expect, test } from "vitest";
import { findToken } from "../../src/provider/find-token.ts";
import { holdsToken, stripToken } from "../../src/provider/redact.ts";
import { createTokenPattern } from "../../src/provider/token-pattern.ts";

const hexToken = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";

/** What tokens look like, and what those from before any form was asked for may look like. */
const tokens = fc.oneof(
  fc.stringMatching(/^[\w-]{8,128}$/),
  fc.stringMatching(/^[0-9a-f]{8,50}$/),
  fc
    .string({ unit: "binary", minLength: 8, maxLength: 60 })
    .map((text) => text.toWellFormed().replaceAll(/[%\\]/g, "x")),
  fc.string({
    unit: fc.constantFrom("u", "2", "5", "a", "é", '"', "/", "😀", "\n", "+"),
    minLength: 8,
    maxLength: 40,
  }),
);
/** What looks like escapes: it is found as it is, and encoded as a whole. */
const escapes = fc.string({
  unit: fc.constantFrom("\\", "%", "u", "2", "5", "a", '"', "/"),
  minLength: 8,
  maxLength: 40,
});

const toUnicode = (char: string) =>
  Array.from(
    { length: char.length },
    (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");
const toPercent = (char: string) =>
  [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
const inJson = (text: string) => JSON.stringify(text).slice(1, -1);
const eachChar = (encode: (char: string) => string) => (text: string) => Array.from(text, encode).join("");

type Encoding = (text: string) => string;

/** Ways to write a whole token. */
const encodings: readonly Encoding[] = [
  (text) => text,
  encodeURIComponent,
  (text) => encodeURIComponent(encodeURIComponent(encodeURIComponent(text))),
  inJson,
  (text) => inJson(inJson(text)),
  (text) => encodeURIComponent(inJson(text)),
  (text) => inJson(encodeURIComponent(text)),
];

/** And each of its characters. */
const lavishEncodings: readonly Encoding[] = [
  eachChar(toUnicode),
  (text) => inJson(eachChar(toUnicode)(text)),
  eachChar(toPercent),
];

/** Token characters only: in part, an escape of one piece may not run into the next. */
const plainTokens = fc.stringMatching(/^[\w-]{8,128}$/);

const whole = fc.oneof(
  fc.tuple(tokens, fc.constantFrom(...encodings, ...lavishEncodings)),
  fc.tuple(escapes, fc.constantFrom(...encodings)),
);

test("a token is found however it is written as a whole, and its neighbours stay", () => {
  fc.assert(
    fc.property(whole, fc.constantFrom("", "\n", "x", " |"), ([token, encode], end) => {
      fc.pre(createTokenPattern(token).length > 0);
      const form = encode(token);
      expect(holdsToken(`a ${form}${end}`, token)).toBe(true);
      expect(stripToken(`a ${form}${end}`, token).startsWith("a ***")).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("each character of a token may be written in a way of its own, in any letter case", () => {
  const writing = fc.constantFrom<(char: string) => string>(
    (char) => char,
    (char) => char.toUpperCase(),
    (char) => char.toLowerCase(),
    toPercent,
    (char) => toPercent(char).replaceAll("%", "%2525"),
    toUnicode,
    (char) => `\\\\\\${toUnicode(char).toUpperCase()}`,
    (char) => `%5C${toUnicode(char).slice(1)}`,
  );
  fc.assert(
    fc.property(plainTokens, fc.array(writing, { minLength: 128, maxLength: 128 }), (token, writings) => {
      const form = Array.from(token, (char, at) => writings[at]?.(char) ?? char).join("");
      expect(stripToken(`(${form}) and "${form}"`, token)).toBe('(***) and "***"');
    }),
    { numRuns: 300 },
  );
});

test("whatever stands before a token, a half escape too, does not hide it", () => {
  const before = fc.oneof(
    fc.string({ unit: fc.constantFrom("%", "\\", "u", "0", "2", "5", "d", "c"), maxLength: 12 }),
    fc.constantFrom(
      "%",
      "%2",
      "%25",
      "\\",
      "\\\\",
      "\\u",
      "\\u0",
      "\\u00",
      "\\u006",
      "%5c",
      "%5cu00",
      "%c3%",
    ),
    fc.string({ unit: "binary", maxLength: 20 }),
  );
  fc.assert(
    fc.property(before, plainTokens, before, (head, token, tail) => {
      const rest = stripToken(`${head}${token}${tail}`, token);
      expect(rest).toContain("***");
      expect(rest.toLowerCase()).not.toContain(token.toLowerCase());
      expect(holdsToken(rest, token)).toBe(false);
    }),
    { numRuns: 500 },
  );
});

test("a text that holds no form of the token stays as it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), plainTokens, (text, token) => {
      fc.pre(!text.toLowerCase().includes(token.slice(0, 2).toLowerCase()) && !/[%\\]/.test(text));
      expect(stripToken(text, token)).toBe(text);
    }),
  );
});

/** The first two stopped a process before: the answer of 81 bytes, and near misses of a token of one letter. */
const hostile: readonly (readonly [name: string, token: string, piece: string])[] = [
  ["backslashes that escape each other", String.raw`\a`.repeat(9) + "zz1234", String.raw`"\"` + '"a'],
  ["near misses of one letter", "a".repeat(500), "a".repeat(499) + "!"],
  ["one letter and then another", "a".repeat(127) + "b", "a"],
  ["another letter and then one", "b" + "a".repeat(127), "a"],
  ["one run of backslashes", hexToken, "\\"],
  ["one run of encoded backslashes", hexToken, "%5c"],
  ["backslashes encoded deeply", hexToken, "%25255c"],
  ["percent signs encoded without end", hexToken, "25"],
  ["percent signs", "%25".repeat(40), "%"],
  ["escapes that begin and do not end", hexToken, "\\u00"],
  ["high halves of pairs", "😀".repeat(64), "\\ud83d\\\\\\\\\\\\\\\\"],
  ["starts of UTF-8", "é".repeat(64), "%f0%9f%98"],
  ["a Fibonacci word", "abaababaabaab".repeat(9), "abaababaabaababaababa"],
  ["the token itself", hexToken, hexToken],
  ["the token, escaped", hexToken, eachChar(toUnicode)(hexToken)],
  ["overlapping tokens", "ab".repeat(64), "ab"],
];

test.each(hostile)("the work grows as the text does: %s", (_, token, piece) => {
  const pattern = createTokenPattern(token);
  const text = (size: number) => `%${piece.repeat(Math.ceil(size / piece.length)).slice(0, size)}!`;
  const base = 4_096;
  const stepsFor = (size: number) => findToken(text(size), pattern).steps;
  const once = stepsFor(base);
  // Each place is read, looked past and, in a match, walked over: a bounded number of steps for each.
  expect(once).toBeLessThan(40 * base);
  for (const times of [2, 4, 8]) expect(stepsFor(times * base)).toBeLessThan(1.1 * times * once);
});

test("the work grows as the text does, whatever token and text are made of", () => {
  const unit = fc.constantFrom("\\", "%", "25", "5c", "u", "00", "a", '"', "\\u0061", "%61", "é", "\ud83d");
  fc.assert(
    fc.property(
      fc.string({ unit, minLength: 4, maxLength: 60 }),
      fc.string({ unit, minLength: 1, maxLength: 30 }),
      (token, piece) => {
        const pattern = createTokenPattern(token);
        const steps = [1, 2, 4, 8].map((times) => findToken(piece.repeat(200 * times), pattern).steps);
        const [once = 0] = steps;
        expect(once).toBeLessThanOrEqual(40 * 200 * piece.length);
        for (const [index, count] of steps.entries())
          expect(count).toBeLessThanOrEqual(1.1 * 2 ** index * once + 100);
      },
    ),
    { numRuns: 200 },
  );
});
