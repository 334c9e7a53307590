import { readContactList, readSource, type App, type IntakeRecord } from "../../app/app.ts";
import type { Config } from "../../config.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { createReading } from "../../domain/requests/reading.ts";
import { formatDuration } from "../../lib/duration.ts";
import { UserError } from "../../lib/errors.ts";
import { isPostgresUrl } from "../../lib/postgres-url.ts";
import { openFileSource, toColumns, type ContactSource } from "./contact-source.ts";
import { toRejectsPath, toResultsPath } from "./file-names.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";
import type { IntakeOptions } from "./read-into-batch.ts";

export interface ImportSourceOptions extends IntakeOptions {
  readonly file?: string | undefined;
  readonly fromQuery?: string;
  readonly sourceUrl?: string;
  readonly fromInstance?: InstanceId;
}

/** What `import` reads, chosen but not opened. */
export interface ImportSource {
  /** The path that must not be written to. */
  readonly file: string | undefined;
  /** The report of rejects, unless an option names another. */
  readonly rejectsPath: string;
  /** Whose contacts they are, where the command line says so. */
  readonly instance: InstanceId | undefined;
  /** Before anything is there to read them into. @throws UserError for what cannot be read */
  open(io: Pick<CommandIo, "signal" | "stderr">): Promise<ContactSource>;
}

const sources = "a FILE (- for standard input), --from-instance ID, or --from-query SQL";

/** @throws UserError `wrong-usage` unless the options name exactly one source */
export function chooseImportSource(options: ImportSourceOptions, config: Config): ImportSource {
  const { file, fromQuery, fromInstance, sourceUrl } = options;
  const named = [file, fromQuery, fromInstance].filter((source) => source !== undefined);
  if (named.length > 1) throw toUsageError(`import takes one source at a time: ${sources}`);
  if (fromQuery !== undefined) return toQuerySource(fromQuery, options, config);
  if (sourceUrl !== undefined) throw toUsageError("--source-url needs --from-query SQL: what to ask it for");
  if (fromInstance !== undefined) return toInstanceSource(fromInstance, options);
  if (file !== undefined) return toFileSource(file, options);
  throw toUsageError(`import needs a source: ${sources}`);
}

function toFileSource(file: string, options: ImportSourceOptions): ImportSource {
  return {
    file,
    rejectsPath: toRejectsPath(toResultsPath(file)),
    instance: options.instance,
    open: ({ signal }) => openFileSource(file, options, signal),
  };
}

function toQuerySource(query: string, options: ImportSourceOptions, config: Config): ImportSource {
  const url = options.sourceUrl ?? config.sourceUrl;
  if (query.trim() === "") throw toUsageError("--from-query is empty: give it a SELECT");
  if (options.encoding !== undefined || options.sheet !== undefined) {
    throw toUsageError("--encoding and --sheet say how to read a file: leave them out");
  }
  if (url === undefined) {
    throw toUsageError("--from-query needs a database: set AVATARS_SOURCE_URL, or give --source-url");
  }
  // Not commander's to check: its message would show the password.
  if (!isPostgresUrl(url)) {
    throw toUsageError("--source-url must be a URL that starts with postgres:// or postgresql://");
  }
  const fetchMs = config.sourceTimeoutMs;
  return {
    file: undefined,
    rejectsPath: "query.rejects.csv",
    instance: options.instance,
    async open({ signal }) {
      const reading = createReading("row");
      const records = readSource({ url, query, fetchMs, signal, reading, ...toColumns(options) });
      return { kind: "query", name: "the query", label: "query", reading, read: () => records };
    },
  };
}

/** The instance's own contact list, as GREEN-API tells it. */
function toInstanceSource(id: InstanceId, options: ImportSourceOptions): ImportSource {
  if (options.instance !== undefined && options.instance !== id) {
    throw toUsageError(
      `--from-instance ${id} takes the contacts of that instance for itself: leave --instance ${options.instance} out`,
    );
  }
  for (const [option, value] of [
    ["--column", options.column],
    ["--ref-column", options.refColumn],
    ["--default-country", options.defaultCountry],
    ["--first-number", options.firstNumber ? "" : undefined],
    ["--encoding", options.encoding],
    ["--sheet", options.sheet],
  ]) {
    if (value !== undefined) throw toUsageError(`${option} says how to read a file or a query: leave it out`);
  }
  return {
    file: undefined,
    rejectsPath: `instance-${id}.rejects.csv`,
    instance: id,
    open: async (io) => ({
      kind: "instance",
      name: `the contact list of instance ${id}`,
      label: `contacts of ${id}`,
      reading: createReading("row"),
      read: (app) => readInstance(app, id, io),
    }),
  };
}

async function* readInstance(
  app: Pick<App, "listContacts">,
  id: InstanceId,
  { signal, stderr }: Pick<CommandIo, "signal" | "stderr">,
): AsyncGenerator<readonly IntakeRecord[]> {
  const ids = await app.listContacts(id, signal, {
    waiting: (waitMs) => writeLine(stderr, `GREEN-API asks to wait: next try in ${formatDuration(waitMs)}`),
  });
  yield* readContactList(ids);
}

function toUsageError(text: string): UserError {
  return new UserError("wrong-usage", `${text}; --help shows what it takes`);
}
