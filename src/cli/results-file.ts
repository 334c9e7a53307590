import { createWriteStream } from "node:fs";
import { rename, unlink } from "node:fs/promises";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { encodeResults, type ResultFormat, type ResultRow } from "../app.ts";
import { UserError } from "../lib/errors.ts";

/**
 * Writes results to a file, CSV or NDJSON by its ending. The file appears whole or not at all: it is written
 * beside its place and moved there at the end.
 * @returns the count of rows
 * @throws UserError `unknown-format`, `file-not-writable`
 */
export async function writeResultsFile(path: string, rows: AsyncIterable<ResultRow>): Promise<number> {
  const format = toFormat(path);
  const draft = `${path}.part`;
  try {
    const count = await writeResults(createWriteStream(draft), format, rows);
    await rename(draft, path);
    return count;
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw toWriteError(path, error);
  }
}

/** Writes results as CSV to a stream and leaves it open. */
export async function writeResultsTo(stream: Writable, rows: AsyncIterable<ResultRow>): Promise<number> {
  return writeResults(stream, "csv", rows, false);
}

/**
 * Fails before the work, not after it, when the results could not be written.
 * @throws UserError `unknown-format`, `file-not-writable`
 */
export async function assertWritable(path: string): Promise<void> {
  toFormat(path);
  const draft = `${path}.part`;
  try {
    await pipeline(Readable.from([]), createWriteStream(draft));
    await unlink(draft);
  } catch (error) {
    throw toWriteError(path, error);
  }
}

async function writeResults(
  target: Writable,
  format: ResultFormat,
  rows: AsyncIterable<ResultRow>,
  end = true,
): Promise<number> {
  let count = 0;
  async function* counted() {
    for await (const row of rows) {
      count += 1;
      yield row;
    }
  }
  await pipeline(encodeResults(format, counted()), target, { end });
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

/** What the system says of a file that cannot be written, for people; other errors as they are. */
export function toWriteError(path: string, error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  return new UserError(
    "file-not-writable",
    `cannot write ${path} (${code}): check the folder and its permissions`,
    {
      cause: error,
    },
  );
}
