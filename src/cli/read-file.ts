import type { Readable } from "node:stream";
import type { App, ImportCounts, InstanceView } from "../app.ts";
import { defaultMaxAgeMs } from "../domain/batch.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { UserError } from "../lib/errors.ts";
import { writeLine, type CommandIo } from "./io.ts";
import { createRejectsFile } from "./rejects-file.ts";

/** What `enrich` and `import` know of their file. */
export interface FileOptions {
  readonly file: string;
  readonly instance?: InstanceId;
  readonly column?: string;
  readonly refColumn?: string;
  readonly defaultCountry?: string;
  readonly strict: boolean;
  /** ms */
  readonly maxAge?: number;
  readonly label?: string;
}

export interface FileRead {
  readonly batchId: string;
  readonly counts: ImportCounts;
  /** The report of lines that are no contacts, where there are any. */
  readonly rejectsPath: string | undefined;
}

export interface FileTarget {
  /** The file, opened. */
  readonly source: Readable;
  readonly instance: InstanceView;
  readonly priority: number;
  readonly rejectsPath: string;
  readonly onOpened?: (batchId: string) => void;
}

/**
 * Reads a file into a batch, with a report of the lines that are no contacts.
 * @throws UserError also when the file holds no contact at all
 */
export async function readFileIntoBatch(
  app: App,
  options: FileOptions,
  target: FileTarget,
  io: CommandIo,
): Promise<FileRead> {
  const { file, column, refColumn, defaultCountry, strict, label } = options;
  const rejects = await createRejectsFile(target.rejectsPath, io);
  let batchId = "";
  try {
    const counts = await app.importFile(
      target.source,
      {
        instanceId: target.instance.id,
        source: "file",
        label: label ?? (file === "-" ? undefined : file),
        priority: target.priority,
        maxAgeMs: options.maxAge ?? defaultMaxAgeMs,
      },
      {
        strict,
        signal: io.signal,
        ...(column !== undefined && { column }),
        ...(refColumn !== undefined && { refColumn }),
        ...(defaultCountry !== undefined && { defaultCountry }),
      },
      {
        reject: rejects.add,
        opened(id) {
          batchId = id;
          target.onOpened?.(id);
        },
      },
    );
    await rejects.close();
    const path = rejects.path();
    if (counts.contacts === 0) throw toEmptyError(file, counts, path);
    if (path !== undefined)
      writeLine(io.stderr, `${counts.rejected} lines are no contacts, listed in ${path}`);
    return { batchId, counts, rejectsPath: path };
  } finally {
    await rejects.close();
  }
}

function toEmptyError(file: string, { rejected }: ImportCounts, rejectsPath: string | undefined): UserError {
  const name = file === "-" ? "standard input" : file;
  return rejected === 0
    ? new UserError("empty-file", `${name} holds no contacts: it is empty, or has only a header`)
    : new UserError(
        "no-contacts",
        `none of the ${rejected} lines of ${name} is a contact; see ${rejectsPath ?? "above"}`,
      );
}
