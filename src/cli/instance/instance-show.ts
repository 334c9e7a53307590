import type { App } from "../../app/app.ts";
import type { InstanceStatus } from "../../domain/views/instance-status.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { contactStatuses } from "../../domain/contact-status.ts";
import { explainHold } from "../../domain/trouble/hold.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { formatDuration } from "../../lib/duration.ts";
import { describeCap, describeQuietHours } from "./care-text.ts";
import { describeMaxInFlight, describeRate, describeShare } from "./instance-text.ts";
import { writeHint, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { unknownInstance } from "./resolve-instance.ts";
import { toRemarks } from "./instance-remarks.ts";
import { formatAge, formatEta, formatMoment, formatRate, formatShare } from "../terminal/format.ts";
import { withApp } from "../terminal/with-app.ts";

export interface ShowInstanceOptions {
  readonly id: InstanceId;
  readonly json: boolean;
}

/** `avatars instance show` */
export async function showInstance({ id, json }: ShowInstanceOptions, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const [view, [status]] = [await app.instances.find(id), await app.readStatus(id)];
    if (view === undefined || status === undefined) throw unknownInstance(id);
    if (json) return writeJson(io.stdout, toJson(view, status));
    const facts = toFacts(view, status, app.config).filter(([, value]) => value !== "");
    const width = Math.max(...facts.map(([name]) => name.length));
    for (const [name, value] of facts) {
      const line = `${name.padEnd(width)}  ${value}`;
      // The others may show what users have named.
      if (name === adviceName) writeHint(io, io.stdout, line);
      else writeLine(io.stdout, line);
    }
    for (const remark of toRemarks(status)) writeHint(io, io.stdout, `${id} ${remark}`);
  });
}

const adviceName = "to do";

function toJson({ id: _id, ...view }: InstanceView, status: InstanceStatus): object {
  const hold = status.heldReason === undefined ? {} : explainHold(status.heldReason);
  const { text: heldText, advice }: { text?: string; advice?: string | undefined } = hold;
  // What is set stays to be seen where it means nothing yet.
  const { timeZone, quietInteractive } = view;
  return { ...view, ...status, timeZone, quietInteractive, heldText, advice };
}

function toFacts(view: InstanceView, status: InstanceStatus, config: App["config"]): [string, string][] {
  const { state, heldReason, heldSince, heldUntil } = status;
  const hold = state === "held" && heldReason !== undefined ? explainHold(heldReason) : undefined;
  const { recentCalls, throttledShare, latencyMs } = status;
  return [
    ["instance", view.id],
    ["label", view.label ?? ""],
    ["url", view.apiUrl],
    ["state", hold ? `${state} (${heldReason}): ${hold.text}` : state],
    ["since", heldSince ? `${heldSince.toISOString()} (${formatAge(heldSince)})` : ""],
    ["next try", heldUntil ? formatMoment(heldUntil) : ""],
    [adviceName, hold?.advice ?? ""],
    ["last state seen", describeStateSeen(view)],
    ["notifications", view.hookSetAt ? `taken with the token of ${view.hookSetAt.toISOString()}` : ""],
    ["rate", `${describeRate(view, config)} calls/s`],
    ["allowed now", `${formatRate(status.callsAllowed)} calls/s`],
    ["margin", `${formatRate(status.marginMs)} ms per second of calls`],
    ["max in flight", describeMaxInFlight(view, config)],
    ["calls a day", describeCap(view)],
    ["quiet hours", describeQuietHours(view)],
    ["time zone", view.timeZone ?? ""],
    [
      "resync takes",
      `${describeShare(view.resyncShare, config.resync.share)} of the calls within the window, ${describeShare(view.resyncDayShare, config.resync.dayShare)} by day`,
    ],
    ["workers", String(status.workers)],
    ["in flight", String(status.inFlight)],
    ["calls/s", formatRate(status.callsPerSecond)],
    [
      "429s",
      throttledShare === undefined ? "" : `${formatShare(throttledShare)} of ${recentCalls} in 10 min`,
    ],
    ["answers take", latencyMs === undefined ? "" : `${Math.round(latencyMs)} ms on average`],
    ["due", String(status.due)],
    ["claimed", String(status.claimed)],
    ["retrying", String(status.waiting)],
    ["oldest due", formatAge(status.oldestDueAt)],
    ["ETA", formatEta(status.etaMs)],
    ["contacts", contactStatuses.map((name) => `${name} ${status.contacts[name]}`).join(", ")],
  ];
}

function describeStateSeen({ stateSeen, stateSeenAt }: InstanceView): string {
  if (stateSeen === undefined) return "";
  return stateSeenAt ? `${stateSeen}, ${formatDuration(Date.now() - stateSeenAt.getTime())} ago` : stateSeen;
}
