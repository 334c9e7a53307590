import type { App, ImportCounts, InstanceView } from "../app.ts";
import { defaultMaxAgeMs } from "../domain/batch.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { UserError } from "../lib/errors.ts";
import type { ImportSource } from "./import-source.ts";
import { writeLine, type CommandIo } from "./io.ts";
import { createRejectsFile } from "./rejects-file.ts";

/** What `enrich` and `import` know of their batch, and of how to read it. */
export interface ReadOptions {
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
  /** The report of records that are no contacts, where there are any. */
  readonly rejectsPath: string | undefined;
}

export interface FileTarget {
  readonly source: ImportSource;
  readonly instance: InstanceView;
  readonly priority: number;
  readonly rejectsPath: string;
  readonly onOpened?: (batchId: string) => void;
}

/**
 * Reads a source into a batch, with a report of the records that are no contacts.
 * @throws UserError also when it holds no contact at all
 */
export async function readIntoBatch(
  app: App,
  options: ReadOptions,
  target: FileTarget,
  io: CommandIo,
): Promise<FileRead> {
  const { source } = target;
  const { column, refColumn, defaultCountry, strict, label } = options;
  const rejects = await createRejectsFile(target.rejectsPath, source.unit, io);
  let batchId = "";
  try {
    const counts = await source.read(
      app,
      {
        instanceId: target.instance.id,
        source: source.kind,
        label: label ?? source.label,
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
    if (counts.contacts === 0) throw toEmptyError(source, counts, path);
    if (path !== undefined)
      writeLine(io.stderr, `${counts.rejected} ${source.unit}s are no contacts, listed in ${path}`);
    return { batchId, counts, rejectsPath: path };
  } finally {
    await rejects.close();
  }
}

function toEmptyError(
  { name, unit }: ImportSource,
  { rejected }: ImportCounts,
  rejectsPath: string | undefined,
): UserError {
  return rejected === 0
    ? new UserError("empty-file", `${name} holds no contacts: it is empty, or has only a header`)
    : new UserError(
        "no-contacts",
        `none of the ${rejected} ${unit}s of ${name} is a contact; see ${rejectsPath ?? "above"}`,
      );
}
