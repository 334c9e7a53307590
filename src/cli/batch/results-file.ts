import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { encodeResults, type ResultFormat } from "../../app/app.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import { UserError } from "../../lib/errors.ts";
import { assertWritable, openOutput, toWriteError } from "../terminal/output-file.ts";

export interface WriteSignals {
  /** Ends the writing; the file does not appear. */
  readonly signal?: AbortSignal;
  /** Ends only the wait for a reader, where the file is a pipe. */
  readonly readerSignal?: AbortSignal;
}

/**
 * Writes results to a file, CSV or NDJSON by its ending; see `openOutput`.
 * @returns the count of rows
 * @throws UserError `unknown-format`, `file-not-writable`; the signal's reason
 */
export async function writeResultsFile(
  path: string,
  rows: AsyncIterable<ResultRow>,
  { signal, readerSignal = signal }: WriteSignals = {},
): Promise<number> {
  const format = toFormat(path);
  const output = await openOutput(path, readerSignal);
  try {
    const count = await writeResults(output.stream, format, rows, { end: false, signal });
    await output.commit();
    return count;
  } catch (error) {
    throw toWriteError(path, error);
  } finally {
    await output.discard();
  }
}

/** Writes results as CSV to a stream and leaves it open. */
export async function writeResultsTo(
  stream: Writable,
  rows: AsyncIterable<ResultRow>,
  signal?: AbortSignal,
): Promise<number> {
  return writeResults(stream, "csv", rows, { end: false, signal });
}

/**
 * Fails before the work, not after it, when the results could not be written.
 * @throws UserError `unknown-format`, `file-not-writable`
 */
export async function assertResultsWritable(path: string): Promise<void> {
  toFormat(path);
  await assertWritable(path);
}

async function writeResults(
  target: Writable,
  format: ResultFormat,
  rows: AsyncIterable<ResultRow>,
  options: { readonly end: boolean; readonly signal: AbortSignal | undefined },
): Promise<number> {
  let count = 0;
  async function* counted() {
    for await (const row of rows) {
      count += 1;
      yield row;
    }
  }
  await pipeline(encodeResults(format, counted()), target, options);
  return count;
}

function toFormat(path: string): ResultFormat {
  if (/\.csv$/i.test(path)) return "csv";
  if (/\.(ndjson|jsonl)$/i.test(path)) return "ndjson";
  throw new UserError(
    "unknown-format",
    `${path}: the results can be written as .csv or .ndjson; end the name with one of them`,
  );
}
