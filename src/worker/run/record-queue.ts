import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";
import { createBase64Room } from "./base64-room.ts";

/** Records that are not written yet, in the order in which they came. */
export interface RecordQueue {
  /** How many wait, without those that are being written. */
  readonly size: number;
  add(record: LookupRecord): void;
  /** Takes the records that one statement can write. They count as unsaved until `settle`. */
  take(): readonly LookupRecord[];
  /** Records that were taken have to be written once more, by a later statement. */
  putBack(records: readonly LookupRecord[]): void;
  /** The records that were taken are written, or never will be. */
  settle(): void;
}

export const maxBatch = 500;

/** @param mostBase64 room for images that answers had, characters; 0: none is kept */
export function createRecordQueue(mostBase64: number): RecordQueue {
  const room = createBase64Room(mostBase64);
  let waiting: LookupRecord[] = [];
  let taken: readonly LookupRecord[] = [];
  return {
    get size() {
      return waiting.length;
    },
    add(record) {
      waiting.push(room.admit(record));
    },
    take() {
      ({ batch: taken, later: waiting } = splitBatch(waiting));
      return taken;
    },
    putBack(records) {
      const back = new Set(records);
      taken = taken.filter((record) => !back.has(record));
      waiting.push(...records);
    },
    settle() {
      for (const record of taken) room.leave(record);
      taken = [];
    },
  };
}

/** The records that one statement can write: of each contact the first one, since it can write a contact once. Pure. */
export function splitBatch(records: readonly LookupRecord[]): {
  readonly batch: readonly LookupRecord[];
  readonly later: LookupRecord[];
} {
  const contacts = new Set<number>();
  const batch: LookupRecord[] = [];
  const later: LookupRecord[] = [];
  let at = 0;
  for (; at < records.length && batch.length < maxBatch; at += 1) {
    const record = records[at]!;
    (contacts.has(record.contactId) ? later : batch).push(record);
    contacts.add(record.contactId);
  }
  return { batch, later: [...later, ...records.slice(at)] };
}
