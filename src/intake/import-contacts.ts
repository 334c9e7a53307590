import type { Readable } from "node:stream";
import { UserError } from "../lib/errors.ts";
import type { Contact, IntakeRecord, RecordUnit, Reject } from "./intake-record.ts";
import { readContacts, type ReadContactsOptions } from "./read-contacts.ts";

export interface ImportPorts {
  /** Takes contacts in; when it resolves they are committed. */
  readonly acceptChunk: (chunk: readonly Contact[]) => Promise<void>;
  /** Told of each line that is no contact, in file order. */
  readonly reject: (reject: Reject) => Promise<void> | void;
}

export interface ImportRecordsOptions {
  /** Stop at the first line that is no contact. */
  readonly strict: boolean;
  readonly signal?: AbortSignal;
  /** What the number of a record counts, for people; `line` unless told. */
  readonly unit?: RecordUnit;
}

export interface ImportOptions extends ReadContactsOptions, ImportRecordsOptions {}

export interface ImportCounts {
  /** Lines that are contacts, duplicates included. */
  readonly contacts: number;
  readonly rejected: number;
}

/** One COPY and one statement each: large enough that their cost per contact is small, small enough for memory. */
const chunkSize = 5_000;
/** Chunks that are written at the same time, while the next one is being read. */
const maxWriting = 2;

/**
 * Streams a file into the ledger, as {@link importRecords} does.
 * @throws UserError also for an input that cannot be used (read-contacts)
 */
export async function importContacts(
  source: Readable,
  options: ImportOptions,
  ports: ImportPorts,
): Promise<ImportCounts> {
  // Also while the input is silent.
  const stop = () => void source.destroy(new Error("stopped"));
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    return await importRecords(readContacts(source, options), options, ports);
  } finally {
    options.signal?.removeEventListener("abort", stop);
    source.destroy();
  }
}

/**
 * Streams records into the ledger, chunk by chunk, reading on while a chunk is being written. What was committed
 * before an error stays.
 * @throws UserError with `strict` at the first record that is no contact; and whatever `records` throws
 */
export async function importRecords(
  records: AsyncIterable<readonly IntakeRecord[]>,
  options: ImportRecordsOptions,
  ports: ImportPorts,
): Promise<ImportCounts> {
  let contacts = 0;
  let rejected = 0;
  let chunk: Contact[] = [];
  const writing = new Set<Promise<void>>();

  const write = async (full: readonly Contact[]) => {
    await ports.acceptChunk(full);
    contacts += full.length;
  };

  const flush = async () => {
    if (chunk.length === 0) return;
    const written = write(chunk).then(() => void writing.delete(written));
    chunk = [];
    writing.add(written);
    // Its failure is met by whoever waits for it next; until then it must not count as unhandled.
    written.catch(() => undefined);
    if (writing.size >= maxWriting) await Promise.race(writing);
  };

  const turnAway = async (record: Reject) => {
    if (options.strict) throw toStrictError(record, options.unit ?? "line");
    rejected += 1;
    await ports.reject(record);
  };

  // Nothing is awaited for a contact alone: a promise for each costs as much memory as reading it.
  const take = async (some: readonly IntakeRecord[]) => {
    for (const record of some) {
      if (record.kind === "contact") chunk.push(record);
      else await turnAway(record);
      if (chunk.length >= chunkSize) await flush();
    }
  };

  try {
    for await (const some of records) {
      await take(some);
      options.signal?.throwIfAborted();
    }
  } finally {
    // What was read before the end, whatever the end was, is kept.
    await flush();
    await Promise.all(writing);
  }
  return { contacts, rejected };
}

function toStrictError({ line, reason, text }: Reject, unit: RecordUnit): UserError {
  return new UserError(
    "bad-line",
    `${unit} ${line}: ${reason}${reason.includes(text) ? "" : ` ("${text}")`}. With --strict the first bad ${unit} ends the import; the contacts before it are kept`,
  );
}
