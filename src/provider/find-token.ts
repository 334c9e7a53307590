import { backslash, createSymbolReader, readEscaped, readSymbol, type SymbolReader } from "./read-symbol.ts";
import { readRare, type TokenPattern } from "./token-pattern.ts";

/** A piece of a text: from `from` up to and without `end`. */
export interface TextRange {
  readonly from: number;
  readonly end: number;
}

/** Where a token stands, from left to right and without overlaps, and how much work it was to find it. */
export interface FoundToken {
  readonly ranges: readonly TextRange[];
  readonly steps: number;
}

/**
 * Searches `text` for the token in time and memory linear in its length. Each place has one symbol and one next place. Places
 * may share their next one, as `%41` and its `4` do. So places make a tree with its root at the text's end, and the automaton
 * walks it from there. No place is looked at twice, and no escape before the token hides its start.
 */
export function findToken(text: string, pattern: TokenPattern): FoundToken {
  const { length, classes, next } = pattern;
  if (length === 0) return { ranges: [], steps: 0 };
  const reader = createSymbolReader(text);
  // 0: the place behind, which nearly all have.
  const ends = new Int32Array(text.length + 1);
  const states = new Uint16Array(text.length + 1);
  let isAnywhere = false;
  for (let at = text.length - 1; at >= 0; at -= 1) {
    reader.steps += 1;
    const unit = text.charCodeAt(at);
    let symbolClass = unit < 0x80 ? (pattern.ascii[unit] ?? 0) : readRare;
    let end = at + 1;
    if (symbolClass === readRare) {
      const symbol = readPlace(reader, at);
      ({ end } = reader);
      if (symbol === backslash) {
        // A row of backslashes says by its rest what it escapes.
        ends[at] = ends[end] || end + 1;
        states[at] = states[end] ?? 0;
        continue;
      }
      symbolClass = pattern.toClass(symbol);
      ends[at] = end;
    }
    const state = next[(states[end] ?? 0) * classes + symbolClass] ?? 0;
    states[at] = state;
    isAnywhere ||= state === length;
  }
  return { ranges: isAnywhere ? collectRanges(states, ends, length, reader) : [], steps: reader.steps };
}

/** More are not read: the work for each place has a bound. */
const maxEscapedBackslashes = 4;

/** Reads like `readSymbol`, and what a backslash escapes; a backslash where another one follows. */
function readPlace(reader: SymbolReader, at: number): number {
  let symbol = readSymbol(reader, at);
  // `\u005c` is one, too, for JSON in JSON.
  for (let nesting = 0; symbol === backslash && nesting < maxEscapedBackslashes; nesting += 1) {
    const { end } = reader;
    const follower = readSymbol(reader, end);
    if (follower === backslash) {
      reader.end = end;
      return backslash;
    }
    symbol = readEscaped(reader, end);
  }
  return symbol === backslash ? -1 : symbol;
}

function collectRanges(
  states: Uint16Array,
  ends: Int32Array,
  length: number,
  counted: { steps: number },
): TextRange[] {
  const ranges: TextRange[] = [];
  for (let from = 0; from < states.length;) {
    counted.steps += 1;
    if (states[from] !== length) {
      from += 1;
      continue;
    }
    let end = from;
    for (let symbol = 0; symbol < length; symbol += 1) {
      counted.steps += 1;
      end = ends[end] || end + 1;
    }
    ranges.push({ from, end });
    from = end;
  }
  return ranges;
}
