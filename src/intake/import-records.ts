import type { IncomingContact, IntakeCounts, Reject } from "../domain/requests/incoming-contact.ts";
import { createReading, namePlace, type Reading } from "../domain/requests/reading.ts";
import { UserError } from "../lib/errors.ts";
import type { IntakeRecord } from "./records/intake-record.ts";

export interface ImportPorts {
  /** Takes contacts in; when it resolves they are committed. */
  readonly acceptChunk: (chunk: readonly IncomingContact[]) => Promise<void>;
  /** Told of each record that is no contact, in their order. */
  readonly reject: (reject: Reject) => Promise<void> | void;
}

export interface ImportOptions {
  /** Stop at the first record that is no contact. */
  readonly strict: boolean;
  /** The input's, for what messages call a record. Default: a line. */
  readonly reading?: Reading;
  /** Ends the import at the next chunk; an input that is silent then is its reader's to end. */
  readonly signal?: AbortSignal;
}

/** A chunk is one COPY and one statement: of many contacts each costs little, and these fit into memory. */
const chunkSize = 5_000;
/** Chunks that are written at the same time, while the next one is being read. */
const maxWriting = 2;

/**
 * Streams records into the ledger, chunk by chunk, reading on while a chunk is being written. What was committed
 * before an error stays.
 * @param input one of the readers of this folder
 * @throws UserError what the reader throws, or with `strict` at the first record that is no contact
 */
export async function importRecords(
  input: AsyncIterable<readonly IntakeRecord[]>,
  options: ImportOptions,
  ports: ImportPorts,
): Promise<IntakeCounts> {
  let contacts = 0;
  let rejected = 0;
  let several = 0;
  // Contacts of one record follow each other.
  let last = { position: -1, isCounted: false };
  let chunk: IncomingContact[] = [];
  const writing = new Set<Promise<void>>();

  const write = async (full: readonly IncomingContact[]) => {
    await ports.acceptChunk(full);
    contacts += full.length;
  };

  const flush = async () => {
    if (chunk.length === 0) return;
    const written = write(chunk).then(() => void writing.delete(written));
    chunk = [];
    writing.add(written);
    // The next wait meets its failure; until then it must not count as unhandled.
    written.catch(() => undefined);
    if (writing.size >= maxWriting) await Promise.race(writing);
  };

  const turnAway = async (record: Reject) => {
    if (options.strict) throw toStrictError(record, options.reading ?? createReading());
    rejected += 1;
    await ports.reject(record);
  };

  // Nothing is awaited for a contact alone: a promise for each costs as much memory as reading it.
  const take = async (records: readonly IntakeRecord[]) => {
    for (const record of records) {
      if (record.kind === "reject") await turnAway(record);
      else {
        chunk.push(record);
        if (record.position !== last.position) last = { position: record.position, isCounted: false };
        else if (!last.isCounted) {
          last.isCounted = true;
          several += 1;
        }
      }
      if (chunk.length >= chunkSize) await flush();
    }
  };

  try {
    for await (const records of input) {
      await take(records);
      options.signal?.throwIfAborted();
    }
  } finally {
    // What was read before the end, whatever the end was, is kept.
    await flush();
    await Promise.all(writing);
  }
  return { contacts, rejected, several };
}

function toStrictError(reject: Reject, reading: Reading): UserError {
  const { reason, text } = reject;
  return new UserError(
    "bad-line",
    `${namePlace(reject, reading)}: ${reason}${reason.includes(text) ? "" : ` ("${text}")`}. With --strict the first bad ${reading.unit} ends the import; the contacts before it are kept`,
  );
}
