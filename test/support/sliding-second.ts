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
    if (from !== undefined && to - from < 1000) return { from, to };
  }
  return undefined;
}
