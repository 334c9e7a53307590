import type { RecordSource } from "../records/intake-record.ts";
import { scanQuotes, type QuoteState, type ScanQuotes } from "./scan-quotes.ts";
import { maxLineLength } from "../bytes/split-lines.ts";

/** The text of one CSV record: a line, or several where a quoted field holds line breaks. */
export interface RawRecord extends RecordSource {
  /** No quote in it: the delimiters alone part its fields. */
  readonly plain: boolean;
  /** Why it cannot be a record. */
  readonly fault?: string;
}

/** Finds where the records of one input end. */
export interface RecordJoiner {
  /** Appends to `records` all that `text`, the line numbered `line`, completes. */
  add(text: string, line: number, records: RawRecord[]): void;
  /** No more lines: a field that is still open never closes. */
  end(records: RawRecord[]): void;
}

// An address or a note has some line breaks, never this many.
const maxLines = 200;

/** The fault of a record that no CSV parser can read for certain. */
export const brokenQuotes = "broken quotes: inside a quoted field, a quote is written twice";
const neverClosed = "a quote opens a field and never closes it";

/** A line that may belong to a record which is not complete yet. */
interface HeldLine extends RecordSource {
  /** Where it ends if it begins inside a quoted field, whichever record that is. */
  inside?: QuoteState;
}

/** The lines behind the last record that is complete. */
interface Joining {
  readonly scan: (text: string, inside: boolean) => QuoteState;
  readonly held: HeldLine[];
  /** The first line held is known to open a quoted field. */
  isOpen: boolean;
  /** Lines held that make up the record so far, and leave its field open. */
  joined: number;
  joinedLength: number;
}

/**
 * Finds where CSV records end. A broken quote costs its own line alone: the lines behind it, held until then, are looked at
 * again.
 *
 * No line is scanned more than twice: once from outside, and once from inside a quoted field. What is known of a line stays
 * true when the line before it is given up.
 * @param scan for tests that count what is read
 */
export function createRecordJoiner(delimiter: string, scan: ScanQuotes = scanQuotes): RecordJoiner {
  const joining: Joining = {
    scan: (text, inside) => scan(text, delimiter, inside),
    held: [],
    isOpen: false,
    joined: 0,
    joinedLength: 0,
  };
  return {
    add: (text, line, records) => addLine(joining, { text, line }, records),
    end: (records) => settle(joining, records, true),
  };
}

function addLine(joining: Joining, { text, line }: RecordSource, records: RawRecord[]): void {
  if (text.length > maxLineLength) {
    settle(joining, records, true);
    records.push({ line, text, plain: true, fault: `longer than ${maxLineLength / 1024} KiB` });
    return;
  }
  if (joining.held.length === 0) {
    if (takeAlone(joining, { text, line }, records)) return;
    joining.isOpen = true;
  }
  joining.held.push({ line, text });
  settle(joining, records, false);
}

/** Decides about the lines that are held, as far as that can be told. */
function settle(joining: Joining, records: RawRecord[], isEnd: boolean): void {
  const { held } = joining;
  for (let first = held[0]; first !== undefined; first = held[0]) {
    if (!joining.isOpen && takeAlone(joining, first, records)) {
      drop(joining, 1);
      continue;
    }
    joining.isOpen = true;
    const state = join(joining);
    if (state === "open" && !isEnd) return;
    if (state === "complete") {
      const lines = held.slice(0, joining.joined + 1).map(({ text }) => text);
      records.push({ line: first.line, text: lines.join("\n"), plain: false });
      drop(joining, lines.length);
    } else {
      const { line, text } = first;
      records.push({ line, text, plain: true, fault: state === "broken" ? brokenQuotes : neverClosed });
      drop(joining, 1);
    }
    joining.isOpen = false;
  }
}

/** Is the line a record by itself, good or bad? Otherwise it opens a quoted field and does not close it. */
function takeAlone({ scan }: Joining, { text, line }: RecordSource, records: RawRecord[]): boolean {
  if (!text.includes('"')) {
    if (text.trim() !== "") records.push({ line, text, plain: true });
    return true;
  }
  const state = scan(text, false);
  if (state === "complete") records.push({ line, text, plain: false });
  else if (state === "broken") records.push({ line, text, plain: true, fault: brokenQuotes });
  return state !== "open";
}

/** Goes on from line to line until one closes the field; "open" where more lines are needed. */
function join(joining: Joining): QuoteState | "too-long" {
  for (;;) {
    if (joining.joined > maxLines || joining.joinedLength > maxLineLength) return "too-long";
    const next = joining.held[joining.joined];
    if (next === undefined) return "open";
    if (joining.joined > 0) {
      next.inside ??= joining.scan(next.text, true);
      if (next.inside !== "open") return next.inside;
    }
    joining.joined += 1;
    joining.joinedLength += next.text.length + 1;
  }
}

/** Takes the first lines out of those held: what they had of the record so far goes with them. */
function drop(joining: Joining, count: number): void {
  for (const { text } of joining.held.splice(0, count)) {
    if (joining.joined === 0) continue;
    joining.joined -= 1;
    joining.joinedLength -= text.length + 1;
  }
}
