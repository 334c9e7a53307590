import { setFlagsFromString } from "node:v8";

/**
 * What V8 reads each time, so that it counts after the start as well (V8 11 to 14). The limits of the heap's sizes do not: they are
 * read when Node.js starts.
 */
export const heapFlags = [
  // The young generation stays as large as it is when the modules are loaded, some 8 MiB, in place of 32 (`NewSpace::Grow`).
  "--semi-space-growth-factor=1",
  // The old one is cleared when it is twice as large as what was alive in it, in place of four times (`GrowingFactor`, heap-controller.cc).
  "--heap-growing-percent=100",
] as const;

/**
 * Keeps V8's heap from growing as it does where there is much memory. A call lives for longer than the young generation keeps it, so
 * that what it leaves waits in the old one. What it saves and costs: docs/decisions.md. For the process to call, once.
 */
export function holdHeap(): void {
  for (const flag of heapFlags) setFlagsFromString(flag);
}
