import type { InstanceId } from "../../domain/instance-id.ts";
import type { LatestRuns, ResyncEnd, ResyncNight, ResyncRun } from "../../domain/resync/resync-run.ts";
import { formatDuration } from "../../lib/duration.ts";
import { formatTable } from "../terminal/table.ts";
import { toCounted } from "../terminal/counted.ts";

const ends: Readonly<Record<ResyncEnd, string>> = {
  done: "all were asked",
  "window-over": "its window was over",
  held: "its window was over while the instance was held",
  paused: "its window was over while the instance was paused",
  limit: "as many as were wanted",
  "next-night": "the next night began",
  manual: "another one was asked for",
  "switched-off": "nights were switched off",
};

/** The runs of each instance: the open one, the last night, the last manual one. Nothing where there was none yet. */
export function formatLatestRuns(
  latest: ReadonlyMap<InstanceId, LatestRuns>,
  night: ResyncNight | undefined,
): string[] {
  const runs = [...latest.values()].flatMap(({ open, lastNight, lastManual }) =>
    [lastNight, lastManual, open].filter((run) => run !== undefined),
  );
  if (runs.length === 0) return [];
  const header = [
    "instance",
    "resync",
    "began",
    "due",
    "planned",
    "asked",
    "changed",
    "left over",
    "429s",
    "took",
    "ended, since",
  ];
  return [...formatTable(header, runs.map(toRow)), ...toNightRemarks(night)];
}

function toRow(run: ResyncRun): (string | number)[] {
  const { instanceId, kind, nightAt, openedAt, endedAt, endedBy } = run;
  const tookMs = (endedAt ?? new Date()).getTime() - openedAt.getTime();
  return [
    instanceId,
    kind,
    `${(nightAt ?? openedAt).toISOString().slice(0, 16)}Z`,
    run.due ?? "",
    run.planned ?? "",
    run.asked,
    run.changed,
    run.leftOver ?? "",
    run.throttled,
    formatDuration(tookMs),
    endedBy === undefined ? "" : ends[endedBy],
  ];
}

function toNightRemarks(night: ResyncNight | undefined): string[] {
  if (night === undefined) return [];
  const at = night.slotAt.toISOString();
  if (night.preparedAt === undefined) return [`the night of ${at} is being prepared`];
  if (night.source === undefined) return [];
  const { added, gone, rejected, error } = night.source;
  const counts = `${toCounted(added, "contact")} added, ${gone} gone, ${toCounted(rejected, "row is no contact", "rows are no contacts")}`;
  return error === undefined
    ? [`the source query of the night of ${at}: ${counts}`]
    : [`the source query of the night of ${at} failed (${error}): ${counts}; the worker's log says more`];
}
