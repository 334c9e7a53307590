import type { Timing } from "../../src/client/call-options.ts";

export interface FakeTiming extends Timing {
  /** All waits so far, ms. */
  readonly waits: number[];
}

/** A clock that only waits move on, and at once. */
export function createFakeTiming(random = 0): FakeTiming {
  let nowMs = 1_000;
  const waits: number[] = [];
  return {
    waits,
    now: () => nowMs,
    random: () => random,
    async sleep(ms) {
      waits.push(ms);
      nowMs += ms;
    },
  };
}
