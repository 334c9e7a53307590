import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { encodeResults, type ResultFormat } from "../../app/app.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import { UserError } from "../../lib/errors.ts";
import { openOutput, toWriteError } from "../terminal/output-file.ts";

/** A format of files for contacts; cards have their pictures in them. */
export type OutputFormat = ResultFormat | "vcf";

export interface WriteOptions {
  /** Default: by the ending of the path. */
  readonly format?: ResultFormat;
  /** Ends the writing; the file does not appear. */
  readonly signal?: AbortSignal;
  /** Ends only the wait for a reader, where the file is a pipe. */
  readonly readerSignal?: AbortSignal;
}

/**
 * Writes results to a file; see `openOutput`.
 * @returns the count of rows
 * @throws UserError `unknown-format`, `file-not-writable`; the signal's reason
 */
export async function writeResultsFile(
  path: string,
  rows: AsyncIterable<ResultRow>,
  { format = toResultFormat(path), signal, readerSignal = signal }: WriteOptions = {},
): Promise<number> {
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

/** Writes results to a stream and leaves it open. */
export async function writeResultsTo(
  stream: Writable,
  format: ResultFormat,
  rows: AsyncIterable<ResultRow>,
  signal?: AbortSignal,
): Promise<number> {
  return writeResults(stream, format, rows, { end: false, signal });
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

/** The format of a results file, by its ending. @throws UserError `unknown-format` */
export function toResultFormat(path: string): ResultFormat {
  if (/\.csv$/i.test(path)) return "csv";
  if (/\.(ndjson|jsonl)$/i.test(path)) return "ndjson";
  throw new UserError(
    "unknown-format",
    `${path}: the results can be written as .csv or .ndjson; end the name with one of them`,
  );
}

/** The format of an export: as it is asked for, or by the ending of the file. @throws UserError `unknown-format` */
export function toOutputFormat(path: string, asked: OutputFormat | undefined): OutputFormat {
  if (asked !== undefined) return asked;
  if (path === "-") return "csv";
  return /\.(vcf|vcard)$/i.test(path) ? "vcf" : toResultFormat(path);
}
