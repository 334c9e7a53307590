import { setTimeout as delay } from "node:timers/promises";
import type { App, RunningWorker } from "../../app/app.ts";
import type { BatchImages } from "../../domain/views/batch-images.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";

const pollMs = 250;
/** Counting takes a tenth of the time at most. */
const pollShare = 10;
/** A server of images that does not answer is not waited for longer: a worker goes on later. */
const patienceMs = 30_000;
const tellEveryMs = 5_000;

/**
 * Waits until the images of a batch are taken: the calls are over by then, and most images are there. Ends when nothing has changed
 * for long, or the command is stopped.
 */
export async function waitForImages(
  { app, worker }: { readonly app: App; readonly worker: RunningWorker },
  batchId: string,
  io: CommandIo,
): Promise<BatchImages> {
  let last: BatchImages | undefined;
  let changedAt = performance.now();
  let toldAt = changedAt;
  for (;;) {
    const askedAt = performance.now();
    const now = await app.images.countOfBatch(batchId);
    if (now.wanted === 0 || io.signal.aborted) return now;
    if (now.wanted !== last?.wanted || !worker.isImageIdle()) changedAt = askedAt;
    last = now;
    if (askedAt - changedAt > patienceMs) return now;
    if (askedAt - toldAt > tellEveryMs) {
      toldAt = askedAt;
      writeLine(io.stderr, `pictures: ${now.shown} taken, ${now.wanted} to go`);
    }
    const pauseMs = Math.max(pollMs, pollShare * (performance.now() - askedAt));
    await delay(pauseMs, undefined, { signal: io.signal }).catch(() => undefined);
  }
}
