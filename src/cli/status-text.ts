import type { InstanceStatus } from "../app.ts";
import { contactStatuses } from "../domain/decide.ts";
import { explainHold } from "../domain/hold.ts";
import { recoveryPerSecond } from "../domain/pace.ts";
import { formatDuration } from "../lib/duration.ts";
import { formatTable } from "./table.ts";

/** The instances as a table, with remarks on those that need one. */
export function formatStatus(instances: readonly InstanceStatus[]): string[] {
  if (instances.length === 0)
    return ["no instances yet: add one with avatars instance add, or try avatars enrich --simulate"];
  const header = [
    "instance",
    "state",
    "due",
    "in flight",
    "calls/s",
    "429s",
    "oldest",
    "ETA",
    ...contactStatuses,
  ];
  const rows = instances.map((status) => [
    status.instanceId,
    status.state,
    status.due,
    status.inFlight,
    `${formatRate(status.callsPerSecond)}/${formatRate(status.callsAllowed)}`,
    formatShare(status.throttledShare),
    formatAge(status.oldestDueAt),
    formatEta(status.etaMs),
    ...contactStatuses.map((name) => status.contacts[name]),
  ]);
  return [
    ...formatTable(header, rows),
    ...instances.flatMap((status) => toRemarks(status).map((remark) => `${status.instanceId} ${remark}`)),
  ];
}

/** What is out of the ordinary, as the end of a sentence that begins with the instance. */
export function toRemarks(status: InstanceStatus): string[] {
  const { instanceId, state, heldReason, heldSince, heldUntil, throttledUntil } = status;
  const remarks: string[] = [];
  if (state === "paused") remarks.push(`is paused: go on with avatars instance resume ${instanceId}`);
  if (state === "held" && heldReason !== undefined) {
    const { text, advice } = explainHold(heldReason);
    const since = heldSince ? ` since ${heldSince.toISOString()}` : "";
    const until = heldUntil ? `; next try ${formatMoment(heldUntil)}` : "";
    remarks.push(`is held${since}: ${text}${until}${advice ? `; ${advice}` : ""}`);
  }
  if (throttledUntil) {
    remarks.push(
      `is refused by the provider for being over the rate: next call ${formatMoment(throttledUntil)}`,
    );
  }
  const pace = describePace(status);
  if (pace !== undefined) remarks.push(pace);
  if (status.stalled) remarks.push("has due contacts and nobody works on them: start avatars worker");
  return remarks;
}

/** Why it is called more slowly than it is set to; undefined where it is not. */
function describePace({ callsAllowed, slowdown, state }: InstanceStatus): string | undefined {
  if (state === "paused") return undefined;
  if (slowdown < 1) {
    const left = formatDuration((1000 * (1 - slowdown)) / recoveryPerSecond);
    return `is slowed to ${formatRate(callsAllowed)}/s after refusals: back to its full rate in ${left}`;
  }
  return undefined;
}

/** `9.8`, `10`, `0.25`. */
export function formatRate(perSecond: number): string {
  return String(Number(perSecond.toFixed(perSecond < 1 ? 2 : 1)));
}

/** `0.05 %`; nothing where there were no calls. */
export function formatShare(share: number | undefined): string {
  return share === undefined ? "" : `${Number((100 * share).toFixed(2))} %`;
}

export function formatAge(since: Date | undefined): string {
  return since === undefined ? "" : formatDuration(Date.now() - since.getTime());
}

/** Nothing where nobody waits, or where it does not go on. */
export function formatEta(etaMs: number | undefined): string {
  return etaMs ? formatDuration(etaMs) : "";
}

/** A moment, and how far ahead it lies. */
export function formatMoment(at: Date): string {
  const aheadMs = at.getTime() - Date.now();
  return aheadMs > 0 ? `${at.toISOString()} (in ${formatDuration(aheadMs)})` : "now";
}
