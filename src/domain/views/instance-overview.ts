import type { CarePause } from "../care/care-pause.ts";
import type { InstanceGauges } from "./instance-gauges.ts";

/** The standing of one instance at a glance: what costs little to find out, and what was counted of late. */
export interface InstanceOverview extends Omit<InstanceGauges, "waitMs" | "care"> {
  readonly label: string | undefined;
  readonly heldSince: Date | undefined;
  /** The moment of the next probe. */
  readonly heldUntil: Date | undefined;
  /** The provider takes no call before this moment, which lies ahead. */
  readonly throttledUntil: Date | undefined;
  /** Why it is not called now by its care, and until when. */
  readonly carePause: CarePause | undefined;
  /** The share of its rate that refusals have left it, up to 1. */
  readonly slowdown: number;
  readonly inFlight: number;
  /** Calls of the last ten minutes, and how many of them were refused for being over the rate. */
  readonly recentCalls: number;
  readonly recentThrottled: number;
  /** The last answer of getStateInstance, and its moment. */
  readonly stateSeen: string | undefined;
  readonly stateSeenAt: Date | undefined;
  /** Contacts that wait for a call; undefined: not counted yet. */
  readonly backlog: { readonly due: number; readonly waiting: number } | undefined;
  /** The time until no contact waits any more, ms, if all goes on as now. Undefined where that cannot be told. */
  readonly etaMs: number | undefined;
  /** Calls per second, one value for each span of {@link historySpanMs}, the oldest first. */
  readonly history: readonly number[];
}

/** A value of the history stands for this time. */
export const historySpanMs = 5_000;
/** Five minutes. */
export const historyLength = 60;
