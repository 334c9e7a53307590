/** Adds up for how long something held, by the period in which it did. */
export interface Tally {
  /** It held between these moments; nothing is added where the end comes first. */
  add(from: number, to: number): void;
  /** Of all that was added. */
  sum(period: number): number;
}

/** @param bounds the moments at which periods begin and end, ascending */
export function createTally(bounds: readonly number[]): Tally {
  const sums = new Float64Array(bounds.length);
  return {
    add(from, to) {
      for (let period = 0; period + 1 < bounds.length; period += 1) {
        const length = Math.min(to, bounds[period + 1]!) - Math.max(from, bounds[period]!);
        if (length > 0) sums[period]! += length;
      }
    },
    sum: (period) => sums[period]!,
  };
}
