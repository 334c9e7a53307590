/** ms between two looks, at the least and at the most. */
const shortestMs = 25;
const longestMs = 500;

/**
 * Tries until it works, and fails with its last error when it never does. The only place where tests wait. A look
 * that takes long is followed by a longer wait: looking must not keep from their work those that are looked at.
 */
export async function eventually<T>(attempt: () => T | Promise<T>, timeoutMs = 120_000): Promise<T> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const lookedAt = performance.now();
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > giveUpAt) throw error;
    }
    const tookMs = performance.now() - lookedAt;
    await new Promise((resolve) => {
      setTimeout(resolve, Math.min(Math.max(shortestMs, 4 * tookMs), longestMs));
    });
  }
}
