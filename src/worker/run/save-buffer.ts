import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";
import type { ClaimFence } from "../../domain/ledger/run-ledger.ts";
import { sleep } from "../../lib/deadline.ts";
import { createRecordQueue, maxBatch } from "./record-queue.ts";
import { writeRecords, type RecordWriterPorts } from "./write-records.ts";

export interface SaveBuffer {
  /** Takes a finished lookup; it is written within about `flushIntervalMs`. */
  add(record: LookupRecord): void;
  /** Claims whose records are not written yet: they must not run out, or the contacts would be asked again. */
  listUnsaved(): ClaimFence[];
  /** Writes what there is, now. Resolves when all of it is written, or when the signal is aborted. */
  drain(signal: AbortSignal): Promise<void>;
}

/** Some hundred images of the usual size. */
const mostBase64 = 32 * 1024 * 1024;

/** All instances of a process share one statement: its batch grows with the load by itself. */
const flushIntervalMs = 100;

export function createSaveBuffer(ports: RecordWriterPorts): SaveBuffer {
  const queue = createRecordQueue(ports.offerImages === undefined ? 0 : mostBase64);
  let flushing: Promise<void> | undefined;
  let stop: AbortSignal | undefined;
  const writer = { ...ports, queue, stop: () => stop };

  const schedule = () => {
    flushing ??= flush().finally(() => {
      flushing = undefined;
      if (queue.size > 0 && !stop?.aborted) schedule();
    });
  };

  async function flush(): Promise<void> {
    if (queue.size < maxBatch && !stop) await sleep(flushIntervalMs);
    await writeRecords(writer, queue.take());
    queue.settle();
  }

  return {
    add(record) {
      queue.add(record);
      schedule();
    },
    listUnsaved: queue.listUnsaved,
    async drain(signal) {
      stop = signal;
      const aborted = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      });
      if (queue.size > 0) schedule();
      for (let last = flushing; last !== undefined && !signal.aborted; last = flushing) {
        await Promise.race([last, aborted]);
      }
    },
  };
}
