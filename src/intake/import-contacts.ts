import type { Readable } from "node:stream";
import { UserError } from "../lib/errors.ts";
import type { Contact, IntakeRecord, Reject } from "./intake-record.ts";
import { readContacts, type ReadContactsOptions } from "./read-contacts.ts";

export interface ImportPorts {
  /** Takes contacts in; when it resolves they are committed. */
  readonly acceptChunk: (chunk: readonly Contact[]) => Promise<void>;
  /** Told of each line that is no contact, in file order. */
  readonly reject: (reject: Reject) => Promise<void> | void;
}

export interface ImportOptions extends ReadContactsOptions {
  /** Stop at the first line that is no contact. */
  readonly strict: boolean;
  readonly signal?: AbortSignal;
}

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
 * Streams a file into the ledger, chunk by chunk, reading on while a chunk is being written. What was committed
 * before an error stays.
 * @throws UserError for an input that cannot be used (read-contacts), or with `strict` at the first bad line
 */
export async function importContacts(
  source: Readable,
  options: ImportOptions,
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
    if (options.strict) throw toStrictError(record);
    rejected += 1;
    await ports.reject(record);
  };

  // Nothing is awaited for a contact alone: a promise for each costs as much memory as reading it.
  const take = async (records: readonly IntakeRecord[]) => {
    for (const record of records) {
      if (record.kind === "contact") chunk.push(record);
      else await turnAway(record);
      if (chunk.length >= chunkSize) await flush();
    }
  };

  // Also while the input is silent.
  const stop = () => void source.destroy(new Error("stopped"));
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    for await (const records of readContacts(source, options)) {
      await take(records);
      options.signal?.throwIfAborted();
    }
  } finally {
    options.signal?.removeEventListener("abort", stop);
    source.destroy();
    // What was read before the end, whatever the end was, is kept.
    await flush();
    await Promise.all(writing);
  }
  return { contacts, rejected };
}

function toStrictError({ line, reason, text }: Reject): UserError {
  return new UserError(
    "bad-line",
    `line ${line}: ${reason}${reason.includes(text) ? "" : ` ("${text}")`}. With --strict the first bad line ends the import; the contacts before it are kept`,
  );
}
