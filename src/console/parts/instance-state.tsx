import type { InstanceStatus } from "../data/live.ts";
import { formatRelative } from "../words/format.ts";
import { texts } from "../words/texts.ts";

export type ShownState = keyof typeof texts.states;

/** The state of an instance as people see it: one that is active may still have nothing to do, or no worker. */
export function toShownState(status: InstanceStatus): ShownState {
  if (status.state !== "active") return status.state;
  if (status.carePause !== null) return status.carePause.reason;
  if (status.throttledUntil !== null) return "throttled";
  if (status.workers === 0 && (status.oldestDueSeconds ?? 0) > 120) return "stalled";
  return status.callsPerSecond > 0 ? "active" : "idle";
}

const tones: Readonly<Record<ShownState, string>> = {
  active: "good",
  idle: "",
  held: "bad",
  paused: "warn",
  throttled: "warn",
  quiet: "",
  capped: "warn",
  stalled: "bad",
};

export function StateBadge({ status }: { readonly status: InstanceStatus }) {
  const state = toShownState(status);
  return <span class={`badge ${tones[state]}`}>{texts.states[state]}</span>;
}

/** When a held instance is tried again: by its next contact where that time has come. */
export function toNextTry(until: string): string {
  const { next, nextContact } = texts.overview;
  return new Date(until) > new Date() ? next(formatRelative(until)) : nextContact;
}
