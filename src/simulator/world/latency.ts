import type { Random } from "../outcomes/random.ts";

/** How long an answer takes: log-normal around the median, and now and then much longer. */
export interface Latency {
  /** The median in ms. 0 turns latency off, its tail included. */
  readonly latencyMs: number;
  /** The standard deviation of the logarithm: 0 is constant, 0.35 lets one call in a hundred take 2.3 medians. */
  readonly latencySpread: number;
  /** The share of calls that take longer still, 0 to 1. */
  readonly tailShare: number;
  /** By how many ms these take longer on average (exponentially distributed). */
  readonly tailLatencyMs: number;
}

const maxLatencyMs = 60_000;

/** The time one call takes in ms, at most a minute. */
export function drawLatencyMs(latency: Latency, random: Random): number {
  if (latency.latencyMs === 0) return 0;
  const usualMs = latency.latencyMs * Math.exp(latency.latencySpread * drawNormal(random));
  const extraMs = random() < latency.tailShare ? -Math.log(1 - random()) * latency.tailLatencyMs : 0;
  return Math.min(usualMs + extraMs, maxLatencyMs);
}

/** Box and Muller's transform. */
function drawNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
