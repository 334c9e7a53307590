import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";

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

/** A statement of so many takes some 35 ms. Lots of 500 cost each contact 4 % more CPU, and larger ones hold their locks for longer. */
export const maxBatch = 1_000;

/** @param mostBase64 room for images that answers had, characters: Postgres may be away for long. 0: none is kept */
export function createRecordQueue(mostBase64: number): RecordQueue {
  let waiting: LookupRecord[] = [];
  let taken: readonly LookupRecord[] = [];
  /** Characters of the images that are kept now. */
  let used = 0;

  /** The record, without its image where there is no room: the image is taken from its URL then, or asked for again. */
  function admit(record: LookupRecord): LookupRecord {
    const chars = getBase64(record)?.length ?? 0;
    if (used + chars > mostBase64) return withoutBase64(record);
    used += chars;
    return record;
  }

  return {
    get size() {
      return waiting.length;
    },
    add(record) {
      waiting.push(admit(record));
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
      for (const record of taken) used -= getBase64(record)?.length ?? 0;
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

/** The image that the answer had; undefined: it had none. */
export function getBase64({ decision }: LookupRecord): string | undefined {
  return decision.kind === "answer" && decision.avatar.kind === "seen" ? decision.avatar.base64 : undefined;
}

function withoutBase64(record: LookupRecord): LookupRecord {
  const { decision } = record;
  if (decision.kind !== "answer" || decision.avatar.kind !== "seen") return record;
  return { ...record, decision: { ...decision, avatar: { ...decision.avatar, base64: undefined } } };
}
