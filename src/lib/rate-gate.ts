/** Returns a function that says true at most once per interval: for log lines that could flood. */
export function createRateGate(
  intervalMs: number,
  now: () => number = performance.now.bind(performance),
): () => boolean {
  let openAt = -Infinity;
  return () => {
    const at = now();
    if (at < openAt) return false;
    openAt = at + intervalMs;
    return true;
  };
}
