import { readSource } from "../app.ts";
import type { Config } from "../config.ts";
import { UserError } from "../lib/errors.ts";
import { isPostgresUrl } from "../lib/postgres-url.ts";
import { takeFirst } from "../lib/take-first.ts";
import { openFileSource, toColumns, type ContactSource } from "./contact-source.ts";
import { toRejectsPath, toResultsPath } from "./file-names.ts";
import type { IntakeOptions } from "./read-into-batch.ts";

export interface ImportSourceOptions extends IntakeOptions {
  readonly file?: string;
  readonly fromQuery?: string;
  readonly sourceUrl?: string;
}

/** What `import` reads, chosen but not opened. */
export interface ImportSource {
  /** The path that must not be written to. */
  readonly file: string | undefined;
  /** Where rejects go when nobody says. */
  readonly rejectsPath: string;
  /** @throws UserError for what cannot be read */
  open(signal: AbortSignal): Promise<ContactSource>;
}

/** @throws UserError `usage` unless the options name exactly one source */
export function chooseImportSource(options: ImportSourceOptions, config: Config): ImportSource {
  const { file, fromQuery, sourceUrl } = options;
  if (file !== undefined && fromQuery !== undefined) {
    throw toUsageError("import takes one source at a time: a FILE or --from-query, not both");
  }
  if (fromQuery !== undefined) return toQuerySource(fromQuery, options, config);
  if (sourceUrl !== undefined) throw toUsageError("--source-url needs --from-query SQL: what to ask it for");
  if (file !== undefined) return toFileSource(file, options);
  throw toUsageError("import needs a source: a FILE (- for standard input), or --from-query SQL");
}

function toFileSource(file: string, options: ImportSourceOptions): ImportSource {
  return {
    file,
    rejectsPath: toRejectsPath(toResultsPath(file)),
    open: (signal) => openFileSource(file, options, signal),
  };
}

function toQuerySource(query: string, options: ImportSourceOptions, config: Config): ImportSource {
  const url = options.sourceUrl ?? config.sourceUrl;
  if (query.trim() === "") throw toUsageError("--from-query is empty: give it a SELECT");
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
    open: async (signal) => ({
      kind: "query",
      name: "the query",
      label: "query",
      unit: "row",
      records: await takeFirst(readSource({ url, query, fetchMs, signal, ...toColumns(options) })),
    }),
  };
}

function toUsageError(text: string): UserError {
  return new UserError("usage", `${text}; --help shows what it takes`);
}
