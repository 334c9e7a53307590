export interface DrainFacts {
  readonly state: "active" | "held" | "paused";
  /** Contacts that wait for a call: due, in flight, or in their backoff. */
  readonly backlog: number;
  /** Living processes that work on the instance. */
  readonly workers: number;
  /** The rate that it is set to: what its pace comes back to after a hold or refusals, within minutes. */
  readonly requestsPerSecond: number;
  /** Calls per second that all processes make; 0 where nothing was measured yet. */
  readonly callsPerSecond: number;
  /** Set for the instance; undefined: as many as its rate needs. */
  readonly maxInFlight: number | undefined;
  /** Mean time of an answer. */
  readonly latencyMs: number | undefined;
  /** Until the provider takes the next call. */
  readonly waitMs: number;
}

/** Less than this share of the rate is what little there was to do, not what can be reached. */
const leastShare = 0.1;

/**
 * The time, in ms, until no contact waits any more if all goes on as now. The speed is the least of three: the rate, the
 * calls in flight that are set over the time of an answer, and what is really reached. Undefined where that cannot be told: a held or
 * paused instance waits for a person, and one without a worker for ever. The limit of calls in flight that a process has for all
 * instances (AVATARS_MAX_IN_FLIGHT) is not known here: it shows in what is reached. Pure.
 */
export function drainMs(facts: DrainFacts): number | undefined {
  if (facts.backlog === 0) return 0;
  if (facts.state !== "active" || facts.workers === 0) return undefined;
  const { requestsPerSecond, callsPerSecond, maxInFlight, latencyMs } = facts;
  const speeds = [requestsPerSecond];
  if (maxInFlight !== undefined && latencyMs) speeds.push((1000 * maxInFlight) / latencyMs);
  if (callsPerSecond >= leastShare * requestsPerSecond) speeds.push(callsPerSecond);
  return facts.waitMs + (1000 * facts.backlog) / Math.min(...speeds);
}
