import fc from "fast-check";

/** A piece of JSON text that is put in as it is. */
class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const nastyStrings = [
  "",
  " ",
  "\0",
  "a\0b",
  "\ud800",
  "x\udfff",
  "\u202eabc\u202c",
  "مرحبا",
  "👩‍👩‍👧‍👦",
  "é".repeat(300),
  "x".repeat(5_000),
  "__proto__",
  "constructor",
  "null",
  "undefined",
  "NaN",
  "-1",
  "0",
  "1e309",
  "9".repeat(400),
  "99999999999999999999",
  "9223372036854775808",
  "' or 1=1 --",
  "{{7*7}}",
  "%00",
  "../../etc/passwd",
  "\r\nx-evil: 1",
  "<script>alert(1)</script>",
  "2026-11-31T25:61:61Z",
  "http://[::1",
  "http://a\0b/",
  "file:///etc/passwd",
  "MToz",
  "MTo5OTk5OTk5OTk5OTk5OTk5OTk5OQ",
  Buffer.from("1:\0").toString("base64url"),
  Buffer.from("1:2026-01-01T00:00:00Z x").toString("base64url"),
  Buffer.from("1:-1").toString("base64url"),
];

/** Text that somebody once stumbled over. */
export const nastyString = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...nastyStrings) },
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({
    unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    maxLength: 10,
  }),
);
const nastyNumber = fc.oneof(
  fc.constantFrom(0, -0, -1, 1.5, 2 ** 31, 2 ** 53, 1e20, 1e300, Number.MIN_VALUE, -1e308),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
/** Like an attack on whoever goes down into it. */
const deep = fc
  .constantFrom(10, 1_000, 20_000)
  .map((depth) => new Raw(`${"[".repeat(depth)}${"]".repeat(depth)}`));
/** Anything that JSON can hold, and some that it cannot. */
export const nastyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: nastyString },
  { weight: 2, arbitrary: nastyNumber },
  { weight: 1, arbitrary: deep },
  fc.constantFrom(null, true, false, [], {}, [[]], [null], { $ne: null }, { toString: 1 }, new Raw("1e999")),
  fc.jsonValue({ maxDepth: 3 }),
);

/** Replaces something anywhere in a value, or adds a key. */
export function spoil(value: unknown): fc.Arbitrary<unknown> {
  const nasty = fc.oneof({ weight: 5, arbitrary: nastyValue }, fc.constant(value));
  if (typeof value !== "object" || value === null || value instanceof Raw) return nasty;
  const keys = Object.keys(value);
  const newKey = fc.oneof(
    fc.constantFrom("__proto__", "constructor", "prototype", "toString", "id", ""),
    nastyString,
  );
  const add = Array.isArray(value)
    ? nastyValue.map((extra) => [...(value as unknown[]), extra])
    : fc
        .tuple(newKey, nastyValue)
        .map(([key, extra]) => [...Object.entries(value), [key, extra]])
        .map(toEntries);
  if (keys.length === 0) return fc.oneof(nasty, add);
  const change = fc
    .constantFrom(...keys)
    .chain((key) =>
      spoil((value as Record<string, unknown>)[key]).map((spoilt) =>
        Array.isArray(value)
          ? (value as unknown[]).map((item, index) => (String(index) === key ? spoilt : item))
          : toEntries(Object.entries(value).map(([name, item]) => [name, name === key ? spoilt : item])),
      ),
    );
  return fc.oneof({ weight: 6, arbitrary: change }, add, nasty);
}

/** An object that may have the same key twice, or `__proto__`, as JSON text. */
function toEntries(entries: readonly (readonly unknown[])[]): Raw {
  const text = entries.map(([key, value]) => `${JSON.stringify(key)}:${toJson(value)}`);
  return new Raw(`{${text.join(",")}}`);
}

/** As text, with what is put in as it is. */
export function toJson(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (typeof value === "object" && value !== null) return toEntries(Object.entries(value)).text;
  return JSON.stringify(value) ?? "null";
}
