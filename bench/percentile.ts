/** The least of them that so great a share of them does not exceed. Infinity without any. */
export function findPercentile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)] ?? Infinity;
}
