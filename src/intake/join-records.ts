import type { RecordSource } from "./intake-record.ts";
import { maxLineLength } from "./split-lines.ts";

/** The text of one CSV record: a line, or several where a quoted field holds line breaks. */
export interface RawRecord extends RecordSource {
  /** No quote in it: the delimiters alone part its fields. */
  readonly plain: boolean;
  /** Why it cannot be a record. */
  readonly fault?: string;
}

// An address or a note has some line breaks, never this many.
const maxLines = 200;

/** Where the reading of a line ends: behind its record, inside a quoted field, or at a quote that cannot be there. */
export type QuoteState = "complete" | "open" | "broken";

/** Reads one line, from outside or inside a quoted field. */
export type ScanQuotes = (text: string, delimiter: string, inside: boolean) => QuoteState;

/** A line that may belong to a record which is not complete yet. */
interface HeldLine extends RecordSource {
  /** Where it ends if it begins inside a quoted field, whichever record that is. */
  inside?: QuoteState;
}

/**
 * Finds where CSV records end. A broken quote costs its own line alone: the lines behind it, taken for
 * part of the record until then, are looked at again.
 *
 * No line is scanned more than twice, once from outside and once from inside a quoted field: where the one before it is
 * given up, what is known of it stays true.
 * @param scan for tests that count what is read
 */
export function createRecordJoiner(delimiter: string, scan: ScanQuotes = scanQuotes) {
  const held: HeldLine[] = [];
  /** The first line held is known to open a quoted field. */
  let isOpen = false;
  /** So many of them make up the record so far, and leave its field open. */
  let joined = 0;
  let joinedLength = 0;

  /** Appends to `records` whatever `text`, the line numbered `line`, completes. */
  function add(text: string, line: number, records: RawRecord[]): void {
    if (text.length > maxLineLength) {
      end(records);
      records.push({ line, text, plain: true, fault: `longer than ${maxLineLength / 1024} KiB` });
      return;
    }
    if (held.length === 0) {
      if (takeAlone(text, line, records)) return;
      isOpen = true;
    }
    held.push({ line, text });
    settle(records, false);
  }

  /** No more lines: what is still open never closes. */
  function end(records: RawRecord[]): void {
    settle(records, true);
  }

  /** Decides about the lines that are held, as far as that can be told. */
  function settle(records: RawRecord[], isEnd: boolean): void {
    for (let first = held[0]; first !== undefined; first = held[0]) {
      if (!isOpen && takeAlone(first.text, first.line, records)) {
        drop(1);
        continue;
      }
      isOpen = true;
      const state = join();
      if (state === "open" && !isEnd) return;
      if (state === "complete") {
        const lines = held.slice(0, joined + 1).map(({ text }) => text);
        records.push({ line: first.line, text: lines.join("\n"), plain: false });
        drop(lines.length);
      } else {
        const { line, text } = first;
        records.push({ line, text, plain: true, fault: state === "broken" ? brokenQuotes : neverClosed });
        drop(1);
      }
      isOpen = false;
    }
  }

  /** Is the line a record by itself, good or bad? Otherwise it opens a quoted field and does not close it. */
  function takeAlone(text: string, line: number, records: RawRecord[]): boolean {
    if (!text.includes('"')) {
      if (text.trim() !== "") records.push({ line, text, plain: true });
      return true;
    }
    const state = scan(text, delimiter, false);
    if (state === "complete") records.push({ line, text, plain: false });
    else if (state === "broken") records.push({ line, text, plain: true, fault: brokenQuotes });
    return state !== "open";
  }

  /** Goes on from line to line until one closes the field; "open" where more lines are needed. */
  function join(): QuoteState | "too-long" {
    for (;;) {
      if (joined > maxLines || joinedLength > maxLineLength) return "too-long";
      const next = held[joined];
      if (next === undefined) return "open";
      if (joined > 0) {
        next.inside ??= scan(next.text, delimiter, true);
        if (next.inside !== "open") return next.inside;
      }
      joined += 1;
      joinedLength += next.text.length + 1;
    }
  }

  function drop(count: number): void {
    for (const { text } of held.splice(0, count)) {
      if (joined === 0) continue;
      joined -= 1;
      joinedLength -= text.length + 1;
    }
  }

  return { add, end };
}

/** The fault of a record that no CSV parser can read for certain. */
export const brokenQuotes = "broken quotes: inside a quoted field, a quote is written twice";
const neverClosed = "a quote opens a field and never closes it";

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
