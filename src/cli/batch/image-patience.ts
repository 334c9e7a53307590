import type { BatchImages } from "../../domain/views/batch-images.ts";

/** A server of images that does not answer is not waited for longer than this after the last progress: a worker goes on later. */
export const imagePatienceMs = 60_000;

/** What a wait for images has seen so far. */
export interface ImageWait {
  readonly counts: BatchImages;
  /** When the counts were last other ones than before, ms of a monotonic clock. */
  readonly progressAt: number;
}

/** The wait after one more look. Tries that bring nothing are no progress, however many there are. */
export function lookAtImages(before: ImageWait | undefined, counts: BatchImages, nowMs: number): ImageWait {
  const isSame =
    before !== undefined && before.counts.wanted === counts.wanted && before.counts.shown === counts.shown;
  return { counts, progressAt: isSame ? before.progressAt : nowMs };
}

/** Is there nothing to wait for, or has there been nothing new for too long? */
export function isWaitOver({ counts, progressAt }: ImageWait, nowMs: number): boolean {
  return counts.wanted === 0 || nowMs - progressAt >= imagePatienceMs;
}
