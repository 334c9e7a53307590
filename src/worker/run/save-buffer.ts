import type { InstanceId } from "../../domain/instance-id.ts";
import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";
import { settleWithin, sleep } from "../../lib/deadline.ts";
import { createRecordQueue, maxBatch } from "./record-queue.ts";
import { writeRecords, type RecordWriterPorts } from "./write-records.ts";

export interface SaveBuffer {
  /** Postgres takes records more slowly than they come: no more of them should be asked for. */
  readonly isBehind: boolean;
  /** Takes a finished lookup; it is written within about `flushIntervalMs`. */
  add(record: LookupRecord): void;
  /**
   * Does the work while no save is under way, and lets none begin meanwhile. Works of one instance come one after the other. Waits
   * two seconds for a save that takes long.
   */
  between(instanceId: InstanceId, work: () => Promise<void>): Promise<void>;
  /** Writes what there is, now. Resolves when all of it is written, or when the signal is aborted. */
  drain(signal: AbortSignal): Promise<void>;
}

/** A save that Postgres does not take now is tried again and again. */
const longestWaitMs = 2_000;

/** Some seconds of the fastest process. What waits here is in memory alone. */
const mostWaiting = 5 * maxBatch;

/** Some hundred images of the usual size. */
const mostBase64 = 32 * 1024 * 1024;

/** All instances of a process share one statement: its batch grows with the load by itself. */
const flushIntervalMs = 100;

export function createSaveBuffer(ports: RecordWriterPorts): SaveBuffer {
  const queue = createRecordQueue(ports.offerImages === undefined ? 0 : mostBase64);
  let flushing: Promise<void> | undefined;
  let stop: AbortSignal | undefined;
  let writing: Promise<void> | undefined;
  let endWait: (() => void) | undefined;
  /** The last work of each instance. */
  const guests = new Map<InstanceId, Promise<void>>();
  const writer = { ...ports, queue, stop: () => stop };

  const schedule = () => {
    flushing ??= flush().finally(() => {
      flushing = undefined;
      if (queue.size > 0 && !stop?.aborted) schedule();
    });
  };

  async function flush(): Promise<void> {
    if (queue.size < maxBatch && !stop) await waitForMore();
    while (guests.size > 0) await Promise.allSettled(guests.values());
    writing = writeRecords(writer, queue.take());
    await writing;
    writing = undefined;
    queue.settle();
  }

  /** Until a statement is full, but not for long. */
  async function waitForMore(): Promise<void> {
    const full = new AbortController();
    endWait = () => full.abort();
    await sleep(flushIntervalMs, full.signal);
    endWait = undefined;
  }

  return {
    get isBehind() {
      return queue.size >= mostWaiting;
    },
    add(record) {
      queue.add(record);
      schedule();
      if (queue.size >= maxBatch) endWait?.();
    },
    async between(instanceId, work) {
      const before = guests.get(instanceId) ?? writing;
      const guest = (async () => {
        if (before) await settleWithin(before, longestWaitMs).catch(() => false);
        await work();
      })();
      guests.set(instanceId, guest);
      try {
        await guest;
      } finally {
        if (guests.get(instanceId) === guest) guests.delete(instanceId);
      }
    },
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
