import { stringify } from "csv-stringify/sync";
import type { Reject } from "../../domain/requests/incoming-contact.ts";
import { namePlace, type Reading } from "../../domain/requests/reading.ts";
import { csvCells } from "../../lib/csv-cells.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";
import { openOutput, removeOutput, toWriteError, type OutputFile } from "../terminal/output-file.ts";

/** The report of records that are no contacts: `line,reason,text,place`. It exists only when there are any. */
export interface RejectsFile {
  add(reject: Reject): Promise<void>;
  /** Undefined while nothing was rejected. */
  readonly path: () => string | undefined;
  /** Gives the report its name: from then on it is there. */
  close(): Promise<void>;
}

const columns = ["line", "reason", "text", "place"] as const;
/** Shown on screen too; the rest is in the file. */
const shownLines = 5;

/**
 * Opens the report at the first reject, and shows the first few on standard error. A report of an earlier run goes;
 * see `openOutput`.
 * @throws UserError `file-not-writable`
 */
export async function createRejectsFile(
  path: string,
  reading: Reading,
  io: Pick<CommandIo, "stderr" | "signal">,
): Promise<RejectsFile> {
  await removeOutput(path).catch(() => undefined);
  let file: OutputFile | undefined;
  let count = 0;
  const write = async (text: string) => {
    file ??= await openOutput(path, io.signal);
    const { stream } = file;
    await new Promise<void>((done, fail) => {
      stream.write(text, (error) => {
        if (error) fail(error);
        else done();
      });
    });
  };
  const explain = (error: unknown) => {
    throw toWriteError(path, error);
  };
  return {
    async add(reject) {
      count += 1;
      if (count === 1) await write(`${columns.join(",")}\n`).catch(explain);
      if (count <= shownLines) writeLine(io.stderr, `${namePlace(reject, reading)}: ${reject.reason}`);
      else if (count === shownLines + 1)
        writeLine(io.stderr, `… more ${reading.unit}s that are no contacts: see ${path}`);
      await write(
        stringify([[reject.position, reject.reason, reject.text, reject.place ?? ""]], csvCells),
      ).catch(explain);
    },
    path: () => (count === 0 ? undefined : path),
    async close() {
      const closing = file;
      file = undefined;
      try {
        await closing?.commit().catch(explain);
      } finally {
        await closing?.discard();
      }
    },
  };
}
