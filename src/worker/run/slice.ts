import type { Clock } from "../lane/clocks.ts";

/** A run's turn on its instance. */
export interface Slice {
  /** The turn may be over: `isOver` is worth asking. */
  isDue(now: number): boolean;
  /** The slice is over, where `isDue`: its turn is, and another instance wants its own, or another process may want this one. */
  isOver(): Promise<boolean>;
}

/** A run goes on for so many slices where no instance waits: then the process that has least to do may take over. */
const maxSlices = 10;

/** @param othersWait does any instance wait for its turn? */
export function beginSlice(clock: Clock, sliceMs: number, othersWait: () => Promise<boolean>): Slice {
  const startedAt = clock.now();
  let endsAt = startedAt + sliceMs;
  return {
    isDue: (now) => now >= endsAt,
    async isOver() {
      if (clock.now() >= startedAt + maxSlices * sliceMs || (await othersWait())) return true;
      endsAt = clock.now() + sliceMs;
      return false;
    },
  };
}
