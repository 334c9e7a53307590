import type { Readable } from "node:stream";
import { UserError } from "../lib/errors.ts";
import { inTurns } from "../lib/in-turns.ts";
import { decodeText, openBytes } from "./bytes/decode-bytes.ts";
import type { IntakeRecord } from "./records/intake-record.ts";
import type { LineReader, ReaderOptions } from "./records/line-reader.ts";
import { createNdjsonReader } from "./json/read-ndjson.ts";
import { createTableReader } from "./tables/read-table.ts";
import { type ContactColumns, toReaderOptions } from "./reader-options.ts";
import { splitLines } from "./bytes/split-lines.ts";

export type { IntakeRecord } from "./records/intake-record.ts";

export interface ReadContactsOptions extends ContactColumns {
  /** Ends the reading, also while the input is silent: with an error like that of any input that breaks off. */
  readonly signal?: AbortSignal;
}

const maxChunk = 1000;
const delimiters = [",", ";", "\t", "|"] as const;

/**
 * Reads contacts from CSV, NDJSON or plain lines, plain or gzipped. Yields them in file order as soon as they are read, in
 * chunks of at most 1,000. Duplicates are not removed. The format is told from the first line with anything in it; an input
 * without one yields nothing.
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
    yield* readChunks(source, options);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function* readChunks(source: Readable, options: ReaderOptions): AsyncGenerator<IntakeRecord[]> {
  try {
    // A format of bytes, not of lines, is told here, from the first of them.
    yield* readText(decodeText(await openBytes(source)), options);
  } finally {
    source.destroy();
  }
}

async function* readText(
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
  const start = line.trimStart();
  if (start.startsWith("[") || start.trimEnd() === "{") {
    throw new UserError(
      "json-not-by-line",
      start.startsWith("[")
        ? "the input is one JSON array; write one object per line: jq -c '.[]' FILE"
        : "the input is JSON over many lines; write one object per line: jq -c . FILE",
    );
  }
  if (start.startsWith("{")) return createNdjsonReader(options);
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
