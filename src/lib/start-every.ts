import { sleep } from "./deadline.ts";

export interface Recurring {
  /** @param signal aborted when it is stopped */
  readonly run: (signal: AbortSignal) => Promise<unknown>;
  /** The pause between two runs, give or take a tenth: many processes must not keep step. */
  readonly intervalMs: number;
  /** The same after a run that has failed; undefined: as always. */
  readonly restMs?: number;
  readonly random: () => number;
  readonly onError: (error: unknown) => void;
}

/** Runs at once, and again and again. Returns a function that stops it, which resolves when no run is at work. */
export function startEvery({
  run,
  intervalMs,
  restMs = intervalMs,
  random,
  onError,
}: Recurring): () => Promise<void> {
  const stopping = new AbortController();
  const running = (async () => {
    while (!stopping.signal.aborted) {
      let pauseMs = intervalMs;
      try {
        await run(stopping.signal);
      } catch (error) {
        onError(error);
        pauseMs = restMs;
      }
      await sleep(pauseMs * (0.9 + 0.2 * random()), stopping.signal);
    }
  })();
  return () => {
    stopping.abort();
    return running;
  };
}
