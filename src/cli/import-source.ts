import {
  openSource,
  readContactList,
  type App,
  type FilePorts,
  type ImportCounts,
  type ImportOptions,
  type NewBatch,
  type RecordUnit,
} from "../app.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { formatDuration } from "../lib/duration.ts";
import { UserError } from "../lib/errors.ts";
import { toRejectsPath, toResultsPath } from "./file-names.ts";
import { writeLine, type CommandIo } from "./io.ts";

/** Where the contacts of a batch come from. */
export interface ImportSource {
  /** Who asks, as the batch says. */
  readonly kind: "file" | "instance";
  /** In messages. */
  readonly name: string;
  readonly unit: RecordUnit;
  /** The batch's, where nobody gives it another. */
  readonly label: string | undefined;
  /** Where records go that are no contacts, unless told. */
  readonly rejectsPath: string;
  /** The file that is read; undefined where there is none. */
  readonly file: string | undefined;
  /** Whose contacts they are, where the source itself says so. */
  readonly instance: InstanceId | undefined;
  /** @throws UserError */
  read(app: App, batch: NewBatch, options: ImportOptions, ports: FilePorts): Promise<ImportCounts>;
}

/** What the command line says of the source. */
export interface SourceOptions {
  readonly file?: string | undefined;
  readonly fromInstance?: InstanceId;
  readonly instance?: InstanceId;
  readonly column?: string;
  readonly refColumn?: string;
  readonly defaultCountry?: string;
}

/**
 * The one source that the command line names.
 * @throws UserError `wrong-usage` where there is none or more than one; and what openSource throws
 */
export async function openImportSource(options: SourceOptions, io: CommandIo): Promise<ImportSource> {
  const { file, fromInstance } = options;
  if ((file === undefined) === (fromInstance === undefined)) {
    const what = file === undefined ? "say where the contacts come from" : "name one source of contacts only";
    throw toUsageError(`${what}: FILE, or --from-instance ID`);
  }
  if (file !== undefined) return openFileSource(file);
  return toInstanceSource(fromInstance!, options, io);
}

/** @throws UserError what openSource throws */
export async function openFileSource(file: string): Promise<ImportSource> {
  const stream = await openSource(file);
  const isStdin = file === "-";
  return {
    kind: "file",
    name: isStdin ? "standard input" : file,
    unit: "line",
    label: isStdin ? undefined : file,
    rejectsPath: toRejectsPath(toResultsPath(file)),
    file,
    instance: undefined,
    read: (app, batch, options, ports) => app.importFile(stream, batch, options, ports),
  };
}

/** The instance's own contact list, as GREEN-API tells it. There is no batch before there are contacts. */
function toInstanceSource(id: InstanceId, given: SourceOptions, io: CommandIo): ImportSource {
  if (given.instance !== undefined && given.instance !== id) {
    throw toUsageError(
      `--from-instance ${id} takes the contacts of that instance for itself: leave --instance ${given.instance} out`,
    );
  }
  for (const [option, value] of [
    ["--column", given.column],
    ["--ref-column", given.refColumn],
    ["--default-country", given.defaultCountry],
  ]) {
    if (value !== undefined) throw toUsageError(`${option} says how to read a file: leave it out`);
  }
  return {
    kind: "instance",
    name: `the contact list of instance ${id}`,
    unit: "row",
    label: `contacts of ${id}`,
    rejectsPath: `instance-${id}.rejects.csv`,
    file: undefined,
    instance: id,
    async read(app, batch, { strict, signal }, ports) {
      const ids = await app.listContacts(id, signal ?? io.signal, {
        waiting: (waitMs) =>
          writeLine(io.stderr, `GREEN-API asks to wait: next try in ${formatDuration(waitMs)}`),
      });
      const options = { strict, unit: "row", ...(signal !== undefined && { signal }) } as const;
      return app.importRecords(readContactList(ids), batch, options, ports);
    },
  };
}

function toUsageError(message: string): UserError {
  return new UserError("wrong-usage", `${message}; --help shows what it takes`);
}
