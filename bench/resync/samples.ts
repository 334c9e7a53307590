import { findPercentile } from "../percentile.ts";

/** How long something took, each time, in ms. */
export interface Samples {
  /** Does it, and notes how long that took; a failure is not noted. */
  time<T>(work: () => Promise<T>): Promise<T>;
  summarize(): Summary;
}

export interface Summary {
  readonly count: number;
  readonly minMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export function createSamples(): Samples {
  const tookMs: number[] = [];
  return {
    async time(work) {
      const startedMs = performance.now();
      const result = await work();
      tookMs.push(performance.now() - startedMs);
      return result;
    },
    summarize() {
      const ascending = tookMs.toSorted((a, b) => a - b);
      return {
        count: ascending.length,
        minMs: ascending[0] ?? Infinity,
        p50Ms: findPercentile(ascending, 0.5),
        p99Ms: findPercentile(ascending, 0.99),
        maxMs: ascending.at(-1) ?? Infinity,
      };
    },
  };
}
