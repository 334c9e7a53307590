import { findCarePause } from "../care/care-pause.ts";
import { beginWalk, rest, walk } from "../care/care-walk.ts";
import type { CareFacts } from "../care/care.ts";

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
  /** Undefined: it may be called at any time, and any number of times. */
  readonly care?: CareFacts | undefined;
}

/** Less than this share of the rate is what little there was to do, not what can be reached. */
const leastShare = 0.1;

/**
 * The time, in ms, until no contact waits any more if all goes on as now. The speed is the least of three: the rate, the
 * calls in flight that are set over the time of an answer, and what is really reached. Undefined where that cannot be told: a held or
 * paused instance waits for a person, and one without a worker for ever. The limit of calls in flight that a process has for all
 * instances (AVATARS_MAX_IN_FLIGHT) is not known here: it shows in what is reached. Quiet hours and a cap are reckoned with; while
 * they stop the calls no worker shows, and one is taken for granted. Pure.
 * @param nowMs ms since 1970
 */
export function drainMs(facts: DrainFacts, nowMs: number): number | undefined {
  if (facts.backlog === 0) return 0;
  const isWorkedOn = facts.workers > 0 || findCarePause(facts.care, new Date(nowMs)) !== undefined;
  if (facts.state !== "active" || !isWorkedOn) return undefined;
  const { requestsPerSecond, callsPerSecond, maxInFlight, latencyMs } = facts;
  const speeds = [requestsPerSecond];
  if (maxInFlight !== undefined && latencyMs) speeds.push((1000 * maxInFlight) / latencyMs);
  if (callsPerSecond >= leastShare * requestsPerSecond) speeds.push(callsPerSecond);
  const perMs = Math.min(...speeds) / 1000;
  const { backlog, waitMs, care } = facts;
  if (care === undefined) return waitMs + (1000 * backlog) / Math.min(...speeds);
  const begin = rest(care, beginWalk(care, nowMs), nowMs + waitMs);
  const { made, walk: end } = walk(care, begin, { perMs, untilMs: Infinity, calls: backlog });
  return made < backlog ? undefined : end.atMs - nowMs;
}
