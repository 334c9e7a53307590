import { monitorEventLoopDelay } from "node:perf_hooks";

const resolutionMs = 10;

/** How late this process runs its timers, in ms: what a benchmark must not blame on its client. */
export interface EventLoopLag {
  read(): { readonly p50: number; readonly p99: number; readonly max: number };
  reset(): void;
  stop(): void;
}

/** Starts to watch. Node records whole intervals, so the interval itself is taken off. */
export function watchEventLoopLag(): EventLoopLag {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  const toLagMs = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs);
  return {
    read: () => ({
      p50: toLagMs(histogram.percentile(50)),
      p99: toLagMs(histogram.percentile(99)),
      max: toLagMs(histogram.max),
    }),
    reset: () => histogram.reset(),
    stop: () => void histogram.disable(),
  };
}
