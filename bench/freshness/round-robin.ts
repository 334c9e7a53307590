import type { Schedule } from "./simulate.ts";

/** Whoever was looked at longest ago is next: nothing is learned of anybody. */
export function createRoundRobin(contacts: number): Schedule {
  // The order of the first looks is that of all further rounds.
  let next = 0;
  return {
    choose(_at, calls) {
      const chosen = Array.from({ length: calls }, (_none, index) => (next + index) % contacts);
      next = (next + calls) % contacts;
      return chosen;
    },
    looked() {},
  };
}
