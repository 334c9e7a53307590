import type { Readable } from "node:stream";
import { inTurns } from "../lib/in-turns.ts";
import { openBytes } from "./bytes/decode-bytes.ts";
import { decodeText } from "./bytes/decode-text.ts";
import type { IntakeRecord } from "./records/intake-record.ts";
import type { LineReader, ReaderOptions } from "./records/line-reader.ts";
import { readJson } from "./json/read-json.ts";
import { createNdjsonReader } from "./json/read-ndjson.ts";
import { startsJson } from "./json/starts-json.ts";
import { readIdName } from "./records/column-names.ts";
import { createTableReader } from "./tables/read-table.ts";
import { type ContactColumns, toReaderOptions } from "./reader-options.ts";
import { splitLines } from "./bytes/split-lines.ts";
import { createCardReader, startsCard } from "./vcard/read-cards.ts";
import { readWorkbook } from "./workbook/read-workbook.ts";
import { refuseOld } from "./workbook/refuse-old.ts";

export type { IntakeRecord } from "./records/intake-record.ts";

export interface ReadContactsOptions extends ContactColumns {
  /** Ends the reading, also while the input is silent: with an error like that of any input that breaks off. */
  readonly signal?: AbortSignal;
}

const maxChunk = 1000;
/** Of blanks before the first line that says something. */
const maxStart = 64 * 1024;
const delimiters = [",", ";", "\t", "|"] as const;

/**
 * Reads contacts from CSV, NDJSON, JSON, vCards, Excel workbooks or plain lines, each also gzipped. Yields them in file order as
 * soon as they are read, in chunks of at most 1,000. Duplicates are not removed. The format is told from the first bytes, or the
 * first line with anything in it; an input without one yields nothing.
 *
 * A line that cannot be used is a reject among the records. An input that cannot be used, or no further, is a UserError; what
 * was yielded before stays true. Memory does not grow with the input, and time only in step with it. The rest of the process
 * has its turns meanwhile. Destroys the source in the end.
 */
export function readContacts(
  source: Readable,
  options: ReadContactsOptions = {},
): AsyncIterable<readonly IntakeRecord[]> {
  const { signal, ...columns } = options;
  return readUntil(source, signal, toReaderOptions(columns, "line"));
}

async function* readUntil(
  source: Readable,
  signal: AbortSignal | undefined,
  options: ReaderOptions,
): AsyncGenerator<IntakeRecord[]> {
  const stop = () => void source.destroy(new Error("stopped"));
  // A signal that came before the first record was asked for is not told again.
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    yield* readChunks(source, signal, options);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function* readChunks(
  source: Readable,
  signal: AbortSignal | undefined,
  options: ReaderOptions,
): AsyncGenerator<IntakeRecord[]> {
  try {
    // A format of bytes, not of lines, is told here, from the first of them.
    const bytes = await openBytes(source);
    const { encoding, reading } = options;
    switch (bytes.magic) {
      case "504b0304":
        return yield* readWorkbook(bytes.chunks, options, signal);
      case "d0cf11e0":
        return await refuseOld(bytes.chunks);
      default:
        yield* readText(decodeText(bytes, { encoding, reading, knowsName }), options);
    }
  } finally {
    source.destroy();
  }
}

function knowsName(cell: string): boolean {
  return readIdName(cell) !== undefined;
}

async function* readText(
  chunks: AsyncGenerator<Buffer>,
  options: ReaderOptions,
): AsyncGenerator<IntakeRecord[]> {
  let start: Buffer = Buffer.alloc(0);
  let isJson: boolean | undefined;
  while (isJson === undefined && start.length < maxStart) {
    const next = await chunks.next();
    if (next.done === true) break;
    start = start.length === 0 ? next.value : Buffer.concat([start, next.value]);
    isJson = startsJson(start.toString("latin1"));
  }
  // What ends so early that there is no saying is JSON where it has begun like it.
  isJson ??= /^\s*[[{]\s*$/.test(start.toString("latin1"));
  const whole = prepend(start, chunks);
  yield* isJson ? readJson(whole, options) : readLines(whole, options);
}

async function* prepend(start: Buffer, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield start;
  yield* chunks;
}

async function* readLines(
  chunks: AsyncIterable<Buffer>,
  options: ReaderOptions,
): AsyncGenerator<IntakeRecord[]> {
  let reader: LineReader | undefined;
  for await (let block of splitLines(chunks)) {
    if (reader === undefined) {
      const first = block.lines.findIndex((line) => line.trim() !== "");
      const [line, ...others] = first < 0 ? [] : block.lines.slice(first);
      if (line === undefined) continue;
      const delimiter = /^sep=(.)$/i.exec(line.trim())?.[1];
      reader = chooseReader(line, delimiter, options);
      const skipped = delimiter === undefined ? 0 : 1;
      block = { firstLine: block.firstLine + first + skipped, lines: skipped ? others : [line, ...others] };
    }
    for await (const { from, items } of inTurns(block.lines)) {
      yield* inChunks(reader.read({ firstLine: block.firstLine + from, lines: items }));
    }
  }
  if (reader !== undefined) yield* inChunks(reader.end());
}

function chooseReader(
  line: string,
  /** From Excel's `sep=;` before the header. */
  delimiter: string | undefined,
  options: ReaderOptions,
): LineReader {
  if (line.trimStart().startsWith("{")) return createNdjsonReader(options);
  if (startsCard(line)) return createCardReader(options);
  return createTableReader(delimiter ?? detectDelimiter(line), options);
}

/** The one that is there most often outside quotes; a comma where none is. */
function detectDelimiter(line: string): string {
  const unquoted = line.replace(/"[^"]*"?/g, "");
  const counts = delimiters.map((delimiter) => unquoted.split(delimiter).length - 1);
  return delimiters[counts.indexOf(Math.max(...counts))] ?? ",";
}

function* inChunks(records: IntakeRecord[]): Generator<IntakeRecord[]> {
  for (let at = 0; at < records.length; at += maxChunk) {
    yield records.length <= maxChunk ? records : records.slice(at, at + maxChunk);
  }
}
