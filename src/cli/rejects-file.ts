import { open, unlink, type FileHandle } from "node:fs/promises";
import { stringify } from "csv-stringify/sync";
import type { RecordUnit, Reject } from "../app.ts";
import { csvCells } from "../lib/csv-cells.ts";
import { writeLine, type CommandIo } from "./io.ts";
import { toWriteError } from "./results-file.ts";

/** The report of lines, or rows, that are no contacts: `line,reason,text`. It exists only when there are any. */
export interface RejectsFile {
  add(reject: Reject): Promise<void>;
  /** Undefined while nothing was rejected. */
  readonly path: () => string | undefined;
  close(): Promise<void>;
}

const columns = ["line", "reason", "text"] as const;
/** Shown on screen too; the rest is in the file. */
const shownLines = 5;

/**
 * Opens the report at the first reject, and shows the first few on standard error. A report of an earlier run goes.
 * @throws UserError `file-not-writable`
 */
export async function createRejectsFile(path: string, unit: RecordUnit, io: CommandIo): Promise<RejectsFile> {
  await unlink(path).catch(() => undefined);
  let file: FileHandle | undefined;
  let count = 0;
  const write = async (text: string) => {
    try {
      file ??= await open(path, "w");
      await file.appendFile(text);
    } catch (error) {
      throw toWriteError(path, error);
    }
  };
  return {
    async add(reject) {
      count += 1;
      if (count === 1) await write(`${columns.join(",")}\n`);
      if (count <= shownLines) writeLine(io.stderr, `${unit} ${reject.line}: ${reject.reason}`);
      else if (count === shownLines + 1)
        writeLine(io.stderr, `… more ${unit}s that are no contacts: see ${path}`);
      await write(stringify([[reject.line, reject.reason, reject.text]], csvCells));
    },
    path: () => (count === 0 ? undefined : path),
    async close() {
      const closing = file;
      file = undefined;
      await closing?.close();
    },
  };
}
