import type { Clock } from "./clocks.ts";

/** The calls of one instance that are in flight in this process, of whatever run. */
export interface LaneCalls {
  readonly inFlight: number;
  /** The mean time of an answer, ms, the latest ones counting most; undefined before the first. */
  readonly meanLatencyMs: number | undefined;
  /** A call is in flight from now until the returned function is called. */
  start(): () => void;
}

/** The weight of one answer in the mean of their times. */
const latencyWeight = 0.05;

/** @param onEnd told when a call has ended */
export function createLaneCalls(clock: Clock, onEnd: () => void): LaneCalls {
  let inFlight = 0;
  let meanLatencyMs: number | undefined;
  return {
    get inFlight() {
      return inFlight;
    },
    get meanLatencyMs() {
      return meanLatencyMs;
    },
    start() {
      const startedAt = clock.now();
      inFlight += 1;
      return () => {
        inFlight -= 1;
        const tookMs = clock.now() - startedAt;
        meanLatencyMs =
          meanLatencyMs === undefined ? tookMs : meanLatencyMs + latencyWeight * (tookMs - meanLatencyMs);
        onEnd();
      };
    },
  };
}
