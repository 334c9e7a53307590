import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";
import type { ClaimFence, RunLedger } from "../../domain/ledger/run-ledger.ts";
import { sleep } from "../../lib/deadline.ts";

export interface SaveBuffer {
  /** Takes a finished lookup; it is written within about `flushIntervalMs`. */
  add(record: LookupRecord): void;
  /** What is not written yet: the claims must not run out, or the contacts would be asked again. */
  listUnsaved(): ClaimFence[];
  /** Writes what there is. Resolves when all of it is written, or when the signal is aborted. */
  drain(signal: AbortSignal): Promise<void>;
}

export interface SaveEvents {
  saved(records: readonly LookupRecord[]): void;
  /** Another transaction holds their contacts: kept in Postgres, and written by a sweep when these are free. */
  savesSetAside(fields: { records: number }): void;
  /** Postgres does not take it now; it is tried again. */
  saveDelayed(fields: { records: number; tries: number }, error: unknown): void;
  /** Postgres never takes this one: its claim expires and the contact is asked again. */
  saveRefused(record: LookupRecord, error: unknown): void;
}

export interface SaveBufferPorts {
  readonly ledger: Pick<RunLedger, "saveLookups">;
  readonly isTransient: (error: unknown) => boolean;
  readonly events: SaveEvents;
}

/** One statement for all instances of the process: the batch grows with the load by itself. */
const flushIntervalMs = 100;
const maxBatch = 500;
const retryMaxMs = 5_000;
/** A contact that is just being erased, or not after all. */
const leftPauseMs = 250;

export function createSaveBuffer({ ledger, isTransient, events }: SaveBufferPorts): SaveBuffer {
  /** By contact, since one statement can write a contact once; a second record waits for the next. */
  let pending: LookupRecord[] = [];
  /** What a statement is writing now. */
  let writing: readonly LookupRecord[] = [];
  let flushing: Promise<void> | undefined;
  let stop: AbortSignal | undefined;

  const schedule = () => {
    flushing ??= flush().finally(() => {
      flushing = undefined;
      if (pending.length > 0 && !stop?.aborted) schedule();
    });
  };

  async function flush(): Promise<void> {
    if (pending.length < maxBatch && !stop) await sleep(flushIntervalMs);
    const batch = takeBatch();
    writing = batch;
    await write(batch);
    writing = [];
  }

  async function write(batch: readonly LookupRecord[]): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await save(batch);
        return;
      } catch (error) {
        if (!isTransient(error)) return saveSingly(batch);
        events.saveDelayed({ records: batch.length, tries }, error);
        if (stop?.aborted) return;
        await sleep(Math.min(retryMaxMs, 100 * 2 ** tries), stop);
      }
    }
  }

  /** What others hold costs the rest nothing. */
  async function save(batch: readonly LookupRecord[]): Promise<void> {
    const { setAside, left } = await ledger.saveLookups(batch);
    const saved = batch.filter(({ contactId }) => !setAside.has(contactId) && !left.has(contactId));
    if (saved.length > 0) events.saved(saved);
    if (setAside.size > 0) events.savesSetAside({ records: setAside.size });
    if (left.size === 0) return;
    writing = writing.filter(({ contactId }) => !left.has(contactId));
    pending.push(...batch.filter(({ contactId }) => left.has(contactId)));
    // Only where nothing else is to be written: it must not hold up the rest.
    if (pending.length === left.size) await sleep(leftPauseMs, stop);
  }

  function takeBatch(): LookupRecord[] {
    const batch = new Map<number, LookupRecord>();
    const later: LookupRecord[] = [];
    for (const record of pending) {
      if (batch.size < maxBatch && !batch.has(record.contactId)) batch.set(record.contactId, record);
      else later.push(record);
    }
    pending = later;
    return [...batch.values()];
  }

  /** One record that Postgres refuses must not cost the others their answers. */
  async function saveSingly(batch: readonly LookupRecord[]): Promise<void> {
    for (const record of batch) {
      try {
        await save([record]);
      } catch (error) {
        if (isTransient(error)) pending.push(record);
        else events.saveRefused(record, error);
      }
    }
  }

  return {
    add(record) {
      pending.push(record);
      schedule();
    },
    listUnsaved: () => [...writing, ...pending].map(({ contactId, runId }) => ({ contactId, runId })),
    async drain(signal) {
      stop = signal;
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      });
      if (pending.length > 0) schedule();
      for (let last = flushing; last !== undefined && !signal.aborted; last = flushing) {
        await Promise.race([last, aborted]);
      }
    },
  };
}
