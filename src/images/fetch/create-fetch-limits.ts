import {
  type BeginVerdict,
  beginFetch,
  endFetch,
  type FetchLimits,
  spendBytes,
  startUse,
} from "./fetch-limits.ts";

/** Counts the fetches of one process against its limits. */
export interface FetchGate {
  /** `begun` takes a place, which `end` gives back; all else takes none. `host`: one word for each server. */
  begin(host: string): BeginVerdict;
  /** Charges bytes that have come. Fetches at work go on; the next one waits for what they took too much. */
  spend(count: number): void;
  end(host: string): void;
  /** Places that are taken. */
  inFlight(): number;
}

/** `clock` in ms, monotonic. */
export function createFetchLimits(limits: FetchLimits, clock: { now(): number }): FetchGate {
  let use = startUse(limits, clock.now());
  return {
    begin(host) {
      const begun = beginFetch(limits, use, host, clock.now());
      use = begun.use;
      return begun.verdict;
    },
    spend(count) {
      use = spendBytes(limits, use, count, clock.now());
    },
    end(host) {
      use = endFetch(use, host);
    },
    inFlight: () => use.inFlight,
  };
}
