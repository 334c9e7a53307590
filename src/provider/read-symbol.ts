/** A text that is read symbol by symbol. One record for a whole text: a body has millions of places. */
export interface SymbolReader {
  readonly text: string;
  /** The place behind the symbol that was read last. */
  end: number;
  /** How much work the reading was: for tests, which count it in place of time. */
  steps: number;
}

export const backslash = 0x5c;
export const percent = 0x25;
const letterU = 0x75;
/** Turns the ASCII letters into small ones. */
const smallLetter = 0x20;

/** No server was seen to encode a URL more often than twice. The bound keeps the work for each place constant. */
const maxNesting = 8;
/** Beyond all code points: the bytes that are no UTF-8. */
const loneBytes = 0x11_0000;

export function createSymbolReader(text: string): SymbolReader {
  return { text, end: 0, steps: 0 };
}

/**
 * The symbol at `at`, and with it the reader's `end`. It is a code point, plain or URL-encoded once or more (`%41`, `%2541`). A
 * backslash is read as itself: what it escapes is {@link readEscaped}'s. -1: the text is over.
 */
export function readSymbol(reader: SymbolReader, at: number): number {
  reader.steps += 1;
  const symbol = reader.text.codePointAt(at);
  if (symbol === undefined) {
    reader.end = at;
    return -1;
  }
  if (symbol === percent) return readPercent(reader, at);
  reader.end = at + (symbol > 0xff_ff ? 2 : 1);
  return symbol;
}

function readPercent(reader: SymbolReader, at: number): number {
  const byte = readByte(reader, at);
  if (byte < 0) {
    reader.end = at + 1;
    return percent;
  }
  return byte < 0x80 ? byte : readMultibyte(reader, byte);
}

/** The byte that the percent sign at `at` stands for. -1: for none, and `end` stays. */
function readByte(reader: SymbolReader, at: number): number {
  let from = at + 1;
  for (let nesting = 0; nesting < maxNesting && reader.text.startsWith("25", from); nesting += 1) {
    reader.steps += 1;
    from += 2;
  }
  const byte = readHex(reader, from, 2);
  if (byte >= 0) return byte;
  if (from === at + 1) return -1;
  reader.end = from;
  return percent;
}

/** UTF-8 of two to four bytes, the first of which was read. */
function readMultibyte(reader: SymbolReader, first: number): number {
  const { end } = reader;
  const more = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  let symbol = first & (0x3f >> more);
  for (let read = 0; read < more; read += 1) {
    const next = reader.text.charCodeAt(reader.end) === percent ? readByte(reader, reader.end) : -1;
    if ((next & 0xc0) !== 0x80 || next < 0) {
      reader.end = end;
      return loneBytes + first;
    }
    symbol = (symbol << 6) | (next & 0x3f);
  }
  return more === 0 ? loneBytes + first : symbol;
}

/** What JSON writes with a letter. */
const controls: ReadonlyMap<number, number> = new Map(
  Object.entries({ b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }).map(([letter, control]) => [
    letter.charCodeAt(0),
    control.charCodeAt(0),
  ]),
);

/** What a run of backslashes escapes that ends before `at`: JSON in JSON has many of them. As {@link readSymbol}. */
export function readEscaped(reader: SymbolReader, at: number): number {
  const symbol = readSymbol(reader, at);
  // Letter cases are all the same here.
  const letter = symbol | smallLetter;
  if (letter !== letterU) return controls.get(letter) ?? symbol;
  const unit = readUnicode(reader, reader.end);
  return unit < 0 ? symbol : unit;
}

/** The digits of `\uXXXX`, or of two of them that make a pair. -1: there are none, and `end` stays. */
function readUnicode(reader: SymbolReader, at: number): number {
  const unit = readHex(reader, at, 4);
  if (unit < 0 || unit >> 10 !== 0x36) return unit;
  const low = readLow(reader, reader.end);
  return low < 0 ? unit : 0x1_0000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
}

/** The second half of a pair. -1: there is none, and `end` stays. */
function readLow(reader: SymbolReader, at: number): number {
  let from = at;
  while (from < at + maxNesting && reader.text.charCodeAt(from) === backslash) from += 1;
  reader.steps += from - at;
  if (from === at || (reader.text.charCodeAt(from) | smallLetter) !== letterU) return -1;
  const { end } = reader;
  const unit = readHex(reader, from + 1, 4);
  if (unit >> 10 === 0x37) return unit;
  reader.end = end;
  return -1;
}

/** -1: other characters stand there, and `end` stays. */
function readHex(reader: SymbolReader, at: number, digits: 2 | 4): number {
  let value = 0;
  for (let place = at; place < at + digits; place += 1) {
    reader.steps += 1;
    const digit = toHexDigit(reader.text.charCodeAt(place));
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  reader.end = at + digits;
  return value;
}

function toHexDigit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const letter = unit | smallLetter;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
