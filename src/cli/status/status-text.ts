import type { InstanceStatus } from "../../domain/views/instance-status.ts";
import type { ImageGauges } from "../../domain/views/image-gauges.ts";
import { formatDuration } from "../../lib/duration.ts";
import { contactStatuses } from "../../domain/contact-status.ts";
import { formatTable } from "../terminal/table.ts";
import { formatRate, formatShare, formatAge, formatEta } from "../terminal/format.ts";
import { toRemarks } from "../instance/instance-remarks.ts";
import { toCounted } from "../terminal/counted.ts";

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

/** The kept images in a line; undefined: they are off. */
export function formatImages(images: ImageGauges | undefined): string[] {
  if (images === undefined || images.present === 0) return [];
  const { shown, present, bytes, wanted, oldestWantedSeconds } = images;
  const size = bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
  const late =
    oldestWantedSeconds > 60 ? `, the oldest for ${formatDuration(oldestWantedSeconds * 1000)}` : "";
  const left = wanted > 0 ? `; ${toCounted(wanted, "is", "are")} to be taken${late}` : "";
  return [
    `pictures of ${shown} of ${toCounted(present, "contact that has", "contacts that have")} one, ${size}${left}`,
  ];
}
