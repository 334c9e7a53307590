import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import { sleep } from "../../lib/deadline.ts";
import { getBase64, type RecordQueue } from "./record-queue.ts";

export type HowSettled = "saved" | "asked-anew" | "refused";

export interface RecordWriterPorts {
  readonly ledger: Pick<RunLedger, "saveLookups">;
  readonly isTransient: (error: unknown) => boolean;
  /**
   * Told of records that are saved or set aside, and of those that never will be: `refused`. `asked-anew`: saved, but the
   * contact is to be called again at once.
   */
  readonly settled: (records: readonly LookupRecord[], how: HowSettled) => void;
  /**
   * Told of answers that are saved and whose images are to be taken: URLs die, and what an answer had is lost afterwards.
   * Undefined: no images are kept.
   */
  readonly offerImages?: ((records: readonly LookupRecord[]) => void) | undefined;
  readonly events: SaveEvents;
}

export interface SaveEvents {
  saved(records: readonly LookupRecord[]): void;
  /** Another transaction has their contacts locked: the records are kept in Postgres, and written when these are free. */
  savesSetAside(fields: { records: number }): void;
  /** Postgres does not take the records now; they are tried again. */
  saveDelayed(fields: { records: number; tries: number }, error: unknown): void;
  /** Postgres never takes this record: the contact is asked again, after a while. */
  saveRefused(record: LookupRecord, error: unknown): void;
}

export interface RecordWriter extends RecordWriterPorts {
  /** Takes back what has to be written by a later statement. */
  readonly queue: Pick<RecordQueue, "size" | "putBack">;
  /** Ends all waits, and further tries; undefined while there is no end. */
  readonly stop: () => AbortSignal | undefined;
}

const retryMaxMs = 5_000;
/** The pause before a contact is tried again that is just being erased, or not after all. */
const leftPauseMs = 250;

/** Writes records with one statement, as often as it takes; with one each where one of them is refused for good. */
export async function writeRecords(writer: RecordWriter, batch: readonly LookupRecord[]): Promise<void> {
  const { isTransient, events, stop } = writer;
  for (let tries = 1; ; tries += 1) {
    try {
      await save(writer, batch);
      return;
    } catch (error) {
      if (!isTransient(error)) return saveSingly(writer, batch);
      events.saveDelayed({ records: batch.length, tries }, error);
      if (stop()?.aborted) return;
      await sleep(Math.min(retryMaxMs, 100 * 2 ** tries), stop());
    }
  }
}

const none: ReadonlySet<number> = new Set();

/** Saves once. Contacts that other transactions have locked cost the rest nothing. */
async function save(writer: RecordWriter, batch: readonly LookupRecord[]) {
  const { ledger, events, queue, stop, offerImages, settled } = writer;
  const { setAside, left, imageWanted, askedAnew = none } = await ledger.saveLookups(batch);
  const saved = batch.filter(({ contactId }) => !setAside.has(contactId) && !left.has(contactId));
  if (saved.length > 0) events.saved(saved);
  settled(
    batch.filter(({ contactId }) => !left.has(contactId) && !askedAnew.has(contactId)),
    "saved",
  );
  if (askedAnew.size > 0)
    settled(
      batch.filter(({ contactId }) => askedAnew.has(contactId)),
      "asked-anew",
    );
  // An image that comes with an answer tells of a change also where the version is the same.
  const offered = saved.filter(
    (record) => imageWanted.has(record.contactId) || getBase64(record) !== undefined,
  );
  if (offered.length > 0) offerImages?.(offered);
  if (setAside.size > 0) events.savesSetAside({ records: setAside.size });
  if (left.size === 0) return;
  queue.putBack(batch.filter(({ contactId }) => left.has(contactId)));
  // A pause only where nothing else is to be written: it must not keep the rest waiting.
  if (queue.size === left.size) await sleep(leftPauseMs, stop());
}

/** Saves one by one: a record that Postgres refuses must not cost the others their answers. */
async function saveSingly(writer: RecordWriter, batch: readonly LookupRecord[]): Promise<void> {
  for (const record of batch) {
    try {
      await save(writer, [record]);
    } catch (error) {
      if (writer.isTransient(error)) writer.queue.putBack([record]);
      else {
        writer.events.saveRefused(record, error);
        writer.settled([record], "refused");
      }
    }
  }
}
