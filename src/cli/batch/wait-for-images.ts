import { setTimeout as delay } from "node:timers/promises";
import type { App } from "../../app/app.ts";
import type { BatchImages } from "../../domain/views/batch-images.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";
import { isWaitOver, lookAtImages, type ImageWait } from "./image-patience.ts";
import { formatImageProgress } from "./image-words.ts";

const pollMs = 250;
/** Counting takes a tenth of the time at most. */
const pollShare = 10;
const tellEveryMs = 5_000;

/**
 * Waits until the images of a batch are taken: the calls are over by then, and most images are there. Ends when nothing has changed
 * for long, or the command is stopped.
 */
export async function waitForImages(app: App, batchId: string, io: CommandIo): Promise<BatchImages> {
  let wait: ImageWait | undefined;
  let toldAt = performance.now();
  for (;;) {
    const askedAt = performance.now();
    wait = lookAtImages(wait, await app.images.countOfBatch(batchId), askedAt);
    if (isWaitOver(wait, askedAt) || io.signal.aborted) return wait.counts;
    if (askedAt - toldAt > tellEveryMs) {
      toldAt = askedAt;
      writeLine(io.stderr, formatImageProgress(wait.counts));
    }
    const pauseMs = Math.max(pollMs, pollShare * (performance.now() - askedAt));
    await delay(pauseMs, undefined, { signal: io.signal }).catch(() => undefined);
  }
}
