import { backslash, percent, createSymbolReader, readEscaped, readSymbol } from "./read-symbol.ts";

/**
 * A token to search for, as an automaton that reads a text backwards, one symbol at a time. It is in the state `length` where
 * the token begins.
 */
export interface TokenPattern {
  /** In symbols; 0: nothing to search for. */
  readonly length: number;
  /** The class of a symbol, in any letter case; 0 for those that the token does not have. */
  readonly toClass: (symbol: number) => number;
  /** The class of each ASCII character that stands for itself; of `%` and of the backslash {@link readRare}. */
  readonly ascii: Uint16Array;
  readonly classes: number;
  /** The next state by state × `classes` + class. */
  readonly next: Uint16Array;
}

/** No class: what stands there has to be read. */
export const readRare = 0xff_ff;

function beginsEscape(symbol: number): boolean {
  return symbol === percent || symbol === backslash;
}

export function createTokenPattern(token: string): TokenPattern {
  const symbols = readSymbols(token).toReversed();
  const { classOf, classes } = classify(symbols);
  const ascii = Uint16Array.from({ length: 0x80 }, (_, symbol) =>
    beginsEscape(symbol) ? readRare : (classOf.get(symbol) ?? 0),
  );
  return {
    length: symbols.length,
    toClass: (symbol) => classOf.get(symbol) ?? 0,
    ascii,
    classes,
    next: toAutomaton(
      symbols.map((symbol) => classOf.get(symbol) ?? 0),
      classes,
    ),
  };
}

/** The token is read as a text is: what it seems to escape is the same in both. */
function readSymbols(token: string): number[] {
  // An escape that begins in the token would end in what follows it.
  const text = token.replace(/(?:%[\da-f]?|\\(?:u[\da-f]{0,3})?)$/iu, "");
  const reader = createSymbolReader(text);
  const symbols: number[] = [];
  let isEscaped = false;
  for (let at = 0; at < text.length;) {
    const symbol: number = isEscaped ? readEscaped(reader, at) : readSymbol(reader, at);
    // A run of backslashes escapes the one symbol behind it.
    isEscaped = symbol === backslash;
    if (!isEscaped) symbols.push(symbol);
    at = reader.end;
  }
  return symbols;
}

/** Letters that only Unicode's case folding knows to be ASCII ones. */
const foldedAlike: Partial<Record<string, string>> = { s: "ſ", k: "\u212A" };

function classify(symbols: readonly number[]): { classOf: Map<number, number>; classes: number } {
  const classOf = new Map<number, number>();
  let classes = 1;
  for (const symbol of symbols) {
    if (classOf.has(symbol)) continue;
    for (const same of toCases(symbol)) classOf.set(same, classes);
    classes += 1;
  }
  return { classOf, classes };
}

function toCases(symbol: number): number[] {
  if (symbol > 0x10_ffff) return [symbol];
  const char = String.fromCodePoint(symbol);
  const cases = [char, char.toLowerCase(), char.toUpperCase(), foldedAlike[char.toLowerCase()] ?? char];
  const first = cases.map((text) => text.codePointAt(0) ?? symbol);
  // What has two characters in another case is another text there.
  return first.filter((point, index) => cases[index] === String.fromCodePoint(point));
}

/** Knuth, Morris and Pratt's, with every step worked out: no text makes it fall back through many states. */
function toAutomaton(pattern: readonly number[], classes: number): Uint16Array {
  const next = new Uint16Array((pattern.length + 1) * classes);
  let fallback = 0;
  for (const [state, wanted] of [...pattern, 0].entries()) {
    next.copyWithin(state * classes, fallback * classes, (fallback + 1) * classes);
    if (state === pattern.length) break;
    const ahead = next[fallback * classes + wanted] ?? 0;
    next[state * classes + wanted] = state + 1;
    if (state > 0) fallback = ahead;
  }
  return next;
}
