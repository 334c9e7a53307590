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

/**
 * Finds where CSV records end. A broken quote costs its own line alone: the lines behind it, taken for
 * part of the record until then, are looked at again.
 */
export function createRecordJoiner(delimiter: string) {
  let open: string[] = [];
  let openAt = 0;
  let openLength = 0;

  /** Appends to `records` whatever `text`, the line numbered `line`, completes. */
  function add(text: string, line: number, records: RawRecord[]): void {
    if (text.length > maxLineLength) {
      end(records);
      records.push({ line, text, plain: true, fault: `longer than ${maxLineLength / 1024} KiB` });
      return;
    }
    if (open.length === 0) {
      if (!text.includes('"')) {
        if (text.trim() !== "") records.push({ line, text, plain: true });
        return;
      }
      openAt = line;
    }
    const state = scanQuotes(text, delimiter, open.length > 0);
    open.push(text);
    openLength += text.length + 1;
    if (state === "complete") records.push({ line: openAt, text: close().join("\n"), plain: false });
    else if (state === "broken") giveUp(brokenQuotes, records);
    else if (open.length > maxLines || openLength > maxLineLength) giveUp(neverClosed, records);
  }

  /** No more lines: what is still open never closes. */
  function end(records: RawRecord[]): void {
    while (open.length > 0) giveUp(neverClosed, records);
  }

  function giveUp(fault: string, records: RawRecord[]): void {
    const first = openAt;
    const [text = "", ...others] = close();
    records.push({ line: first, text, plain: true, fault });
    others.forEach((other, index) => add(other, first + 1 + index, records));
  }

  function close(): string[] {
    const lines = open;
    open = [];
    openLength = 0;
    return lines;
  }

  return { add, end };
}

/** The fault of a record that no CSV parser can read for certain. */
export const brokenQuotes = "broken quotes: inside a quoted field, a quote is written twice";
const neverClosed = "a quote opens a field and never closes it";

/** Reads one line from outside or inside a quoted field, and says where that leaves us. */
function scanQuotes(text: string, delimiter: string, inside: boolean): "complete" | "open" | "broken" {
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
