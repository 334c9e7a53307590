/** The end of a line's reading: behind its record, inside a quoted field, or at a misplaced quote. */
export type QuoteState = "complete" | "open" | "broken";

/** Reads one line, from outside or inside a quoted field. */
export type ScanQuotes = (text: string, delimiter: string, inside: boolean) => QuoteState;

/** Looks at each character of the line once. */
export function scanQuotes(text: string, delimiter: string, inside: boolean): QuoteState {
  let at = 0;
  let quoted = inside;
  for (;;) {
    if (!quoted) {
      at = skipBlanks(text, at, delimiter);
      if (text[at] !== '"') {
        at = text.indexOf(delimiter, at) + 1;
        if (at === 0) return "complete";
        continue;
      }
      at++;
    }
    const closing = findClosingQuote(text, at);
    if (closing < 0) return "open";
    at = skipBlanks(text, closing + 1, delimiter);
    if (at === text.length) return "complete";
    if (text[at] !== delimiter) return "broken";
    at++;
    quoted = false;
  }
}

function findClosingQuote(text: string, from: number): number {
  let at = text.indexOf('"', from);
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at;
}

function skipBlanks(text: string, from: number, delimiter: string): number {
  let at = from;
  while (at < text.length && text[at] !== delimiter && /\s/.test(text.charAt(at))) at++;
  return at;
}
