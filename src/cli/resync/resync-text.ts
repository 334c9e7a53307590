import type { App } from "../../app/app.ts";
import { simulatedInstanceId } from "../../domain/instance-id.ts";
import { total, type ResyncForecast, type ResyncPlan } from "../../domain/resync/plan-resync.ts";
import { formatDuration } from "../../lib/duration.ts";
import { formatMoment, formatShare } from "../terminal/format.ts";
import { formatTable } from "../terminal/table.ts";
import { toCounted } from "../terminal/counted.ts";

/** The plan of the next window, for people: contacts due by cause, how far calls get, what waits longer. */
export function formatForecast({ now, window, instances }: ResyncForecast, config: App["config"]): string[] {
  if (instances.length === 0) return ["no instances yet: add one with avatars instance add"];
  const { share, dayShare } = config.resync;
  const header = [
    "instance",
    "due now",
    "asked for",
    "never asked",
    "URL expires",
    "by age",
    "calls",
    "done",
    "left over",
    "stretch",
  ];
  const rows = instances.map(({ instanceId, dueNow, due, calls, finishesAt, leftOver, stretch }) => [
    instanceId,
    total(dueNow),
    due.requested,
    due["never-asked"],
    due["expiring-url"],
    due.age,
    calls,
    finishesAt ? toTime(finishesAt) : "",
    total(leftOver),
    Number(stretch.toFixed(2)),
  ]);
  return [
    window
      ? `${window.from <= now ? "the window" : "the next window"}: ${toTime(window.from)} to ${toTime(window.until)}, with ${formatShare(share)} of each instance's calls, by day ${formatShare(dayShare)}, where an instance sets no others`
      : "nights are switched off (AVATARS_RESYNC_CRON=off): what is due waits for avatars resync --now",
    ...formatTable(header, rows),
    ...instances.flatMap((plan) => toRemarks(plan).map((remark) => `${plan.instanceId} ${remark}`)),
  ];
}

/** Remarks on contacts that do not fit. Each is the end of a sentence that begins with the instance. */
function toRemarks({ instanceId, state, leftOver, waitsUntil, due, stretch }: ResyncPlan): string[] {
  const remarks: string[] = [];
  if (instanceId === simulatedInstanceId) {
    remarks.push("is the built-in simulator's, not GREEN-API's: only enrich --simulate calls it");
  } else if (state === "paused") {
    remarks.push("is paused: nothing is asked until avatars instance resume");
  }
  if (state === "held") remarks.push("is held now: the plan is for when it works again");
  const left = total(leftOver);
  if (left > 0) {
    const surplus = toCounted(left, "contact that does not fit", "contacts that do not fit");
    remarks.push(
      waitsUntil
        ? `has ${surplus}: the last of them waits until ${formatMoment(waitsUntil)}`
        : `has ${surplus}, for longer than can be told`,
    );
  }
  if (left > 0 && due["expiring-url"] > total(due) / 2)
    remarks.push(
      "spends most of its calls on URLs that expire: AVATARS_KEEP_URLS_FRESH=false leaves them out",
    );
  if (stretch >= 1.05)
    remarks.push(
      `is late by ${formatDuration((stretch - 1) * 7 * 86_400_000)} with one that should be asked every 7 days`,
    );
  return remarks;
}

/** To the minute, in UTC. */
function toTime(at: Date): string {
  return `${at.toISOString().slice(0, 16)}Z`;
}
