import { setFlagsFromString } from "node:v8";

/**
 * The old generation is cleared when it is 1.7 times as large as what was alive in it, in place of four times. V8 reads it each time
 * (`GrowingFactor`, heap-controller.cc, V8 11 to 14), so that it counts after the start as well. The limits of the heap's sizes do not:
 * they are read when Node.js starts.
 */
export const heapFlag = "--heap-growing-percent=70";

/**
 * Keeps V8's heap from growing as it does where there is much memory. A call lives for longer than the young generation keeps it, so
 * that what it leaves waits in the old one. What it saves and costs: docs/decisions.md. For the process to call, once.
 */
export function holdHeap(): void {
  setFlagsFromString(heapFlag);
}
