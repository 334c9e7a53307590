import type { InstanceId } from "../instance-id.ts";

/** `night`: opened by the schedule; `trickle`: what is due between two nights; `manual`: a person has asked for it. */
export const resyncKinds = ["night", "trickle", "manual"] as const;
export type ResyncKind = (typeof resyncKinds)[number];

/**
 * Why a run stopped. `done`: nothing was left; `window-over`; `held`, `paused`: the window ended while the instance was; `limit`: as
 * many as were asked for; `next-night`, `manual`: another run took over; `switched-off`: there are no nights any more.
 */
export const resyncEnds = [
  "done",
  "window-over",
  "held",
  "paused",
  "limit",
  "next-night",
  "manual",
  "switched-off",
] as const;
export type ResyncEnd = (typeof resyncEnds)[number];

/** A stretch of refreshing one instance, as people see it. */
export interface ResyncRun {
  readonly id: number;
  readonly instanceId: InstanceId;
  readonly kind: ResyncKind;
  /** The moment of the schedule. */
  readonly nightAt: Date | undefined;
  readonly openedAt: Date;
  /** Undefined: it is open. */
  readonly endedAt: Date | undefined;
  readonly endedBy: ResyncEnd | undefined;
  /** Contacts that were due when it was planned, or would be until its end; undefined: not planned. */
  readonly due: number | undefined;
  /** How many of them fit into its calls. */
  readonly planned: number | undefined;
  /** Contacts that have had their answer, or none after all attempts. */
  readonly asked: number;
  /** Made due by it and not answered yet. */
  readonly underWay: number;
  /** Answers that brought another avatar. */
  readonly changed: number;
  /** Calls of the instance that were refused meanwhile for being over the rate. */
  readonly throttled: number;
  /** Contacts that were due when it ended. */
  readonly leftOver: number | undefined;
}

/** Which runs are listed. */
export interface RunFilter {
  /** Undefined: of all. */
  readonly instanceIds: readonly InstanceId[] | undefined;
  readonly kind: ResyncKind | undefined;
}

/** Some runs, the newest first. */
export interface RunPage {
  readonly items: readonly ResyncRun[];
  /** Where the next page begins; undefined: this was the last one. */
  readonly next: number | undefined;
}

/** What of its resync an instance shows: the run that is open, the last night that is over, and the last manual one. */
export interface LatestRuns {
  readonly open: ResyncRun | undefined;
  readonly lastNight: ResyncRun | undefined;
  readonly lastManual: ResyncRun | undefined;
}

/** A night for all instances: once, whatever number of processes there are. */
export interface ResyncNight {
  readonly slotAt: Date;
  readonly openedAt: Date;
  /** Undefined: the source query is at work, or it is just being planned. */
  readonly preparedAt: Date | undefined;
  /** What the source query brought; undefined: there is none. */
  readonly source: SourceOutcome | undefined;
}

export interface SourceOutcome {
  readonly added: number;
  readonly gone: number;
  readonly rejected: number;
  /** Why it brought nothing or not all; undefined: it was read to its end. */
  readonly error: string | undefined;
}
