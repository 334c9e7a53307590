/** A number near 10⁹, of ms, is exact to 10⁻⁷: what sums up to a second may miss it by so much. */
const roundingMs = 0.001;

/**
 * The first half-open second that holds more than `rate` of these moments (ms, in any order): from its first
 * moment to the one too many. Undefined: there is none.
 */
export function findOverfullSecond(
  moments: readonly number[],
  rate: number,
): { readonly from: number; readonly to: number } | undefined {
  const sorted = moments.toSorted((a, b) => a - b);
  for (const [index, to] of sorted.entries()) {
    const from = sorted[index - rate];
    if (from !== undefined && to - from < 1000 - roundingMs) return { from, to };
  }
  return undefined;
}
