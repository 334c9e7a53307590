import type { BatchImages } from "../../domain/views/batch-images.ts";
import type { BatchProgress } from "../../domain/views/batch-progress.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { contactStatuses, statusMeanings } from "../../domain/contact-status.ts";
import type { Reading } from "../../domain/requests/reading.ts";
import { explainHold } from "../../domain/trouble/hold.ts";
import { formatDuration } from "../../lib/duration.ts";
import { describeReading } from "./reading-words.ts";
import { formatImages } from "./image-words.ts";
import { spellCommands, toCommandLine } from "../terminal/typed-command.ts";
import { formatTable } from "../terminal/table.ts";
import type { End } from "./work-off.ts";
import { toCounted } from "../terminal/counted.ts";

/** What a bulk run has come to. */
export interface Summary {
  readonly end: End;
  readonly batch: BatchProgress;
  readonly reading: Reading;
  /** Records that gave more than one contact. */
  readonly several: number;
  readonly calls: number;
  readonly tookMs: number;
  readonly resultsPath: string;
  readonly rejectsPath: string | undefined;
  /** Undefined: images are off. */
  readonly images: BatchImages | undefined;
  readonly galleryPath: string | undefined;
  readonly imageFolder: string | undefined;
}

export interface SummaryContext {
  readonly instance: InstanceView;
  readonly simulated: boolean;
  /** What was typed before the arguments. */
  readonly command: string;
  /** The command line that continues. */
  readonly commandLine: string;
}

/** The last lines of a bulk run, for people. */
export function formatSummary(summary: Summary, context: SummaryContext): string[] {
  const { batch, reading, several, calls, tookMs, end, resultsPath, rejectsPath } = summary;
  const rows: [string, number, string][] = contactStatuses
    .filter((status) => batch.finished[status] > 0)
    .map((status) => [status, batch.finished[status], statusMeanings[status]]);
  if (batch.pending > 0) rows.push(["pending", batch.pending, "still due"]);
  rows.push([
    "total",
    batch.accepted,
    `${toCounted(batch.duplicates, "duplicate")}, ${toRejected(batch.rejected, reading.unit)}`,
  ]);
  const speed = calls > 0 ? `, ${(calls / (tookMs / 1000)).toFixed(1)} a second` : "";
  return [
    "",
    ...formatTable(["outcome", "contacts", "meaning"], rows),
    "",
    describeReading(reading, several),
    `${toCounted(calls, "call")} in ${formatDuration(tookMs)}${speed}; ${toCounted(batch.fresh, "contact was", "contacts were")} fresh and needed none`,
    `results: ${resultsPath}${rejectsPath === undefined ? "" : `; ${reading.unit}s that are no contacts: ${rejectsPath}`}`,
    ...describeImages(summary),
    ...describeEnd(end, batch, context),
    ...(context.simulated ? toNextSteps(context.command) : []),
  ];
}

function toRejected(count: number, unit: Reading["unit"]): string {
  return toCounted(count, `${unit} that is no contact`, `${unit}s that are no contacts`);
}

function describeImages({ images, galleryPath, imageFolder }: Summary): string[] {
  const taken = images === undefined ? [] : [formatImages(images)];
  const gallery = galleryPath === undefined ? [] : [`gallery: ${galleryPath}, to be opened in a browser`];
  const files = imageFolder === undefined ? [] : [`pictures as files: ${imageFolder}`];
  return [...taken, ...files, ...gallery];
}

function toNextSteps(command: string): string[] {
  return [
    "",
    "These answers were invented by the simulator. With real credentials, from the GREEN-API console:",
    "  export GREEN_API_URL=https://7103.api.greenapi.com GREEN_API_ID_INSTANCE=1101000001 GREEN_API_TOKEN=…",
    `  ${toCommandLine(command, ["enrich", "my.csv"])}`,
  ];
}

function describeEnd(
  end: End,
  batch: BatchProgress,
  { instance, command, commandLine }: SummaryContext,
): string[] {
  if (end.kind === "done") return [];
  const left = toCounted(batch.pending, "contact is left", "contacts are left");
  if (end.kind === "stopped") return [`stopped: ${left}; continue with: ${commandLine}`];
  const { text, advice } = explainHold(end.reason);
  return [
    `instance ${instance.id} is held: ${text}; ${left}, none of them failed`,
    ...(advice === undefined ? [] : [spellCommands(advice, command)]),
    `then continue with: ${commandLine}`,
  ];
}
