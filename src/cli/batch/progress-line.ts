import cliProgress from "cli-progress";
import type { BatchImages } from "../../domain/views/batch-images.ts";
import type { BatchProgress } from "../../domain/views/batch-progress.ts";
import { contactStatuses } from "../../domain/contact-status.ts";
import { formatDuration } from "../../lib/duration.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";
import { formatImageProgress } from "./image-words.ts";

/** What there is to say about a bulk run at one moment. */
export interface ProgressFacts {
  readonly batch: BatchProgress;
  /** Undefined: images are off. */
  readonly images: BatchImages | undefined;
  readonly callsPerSecond: number;
  /** The instance's rate. */
  readonly allowedPerSecond: number;
  /** Why nothing happens now, if so. */
  readonly waiting: string | undefined;
}

export interface ProgressLine {
  show(facts: ProgressFacts): void;
  end(): void;
}

/** A terminal's line is drawn this often; elsewhere a line is written when this much time has passed. */
const plainIntervalMs = 10_000;

/** A single line that renews itself on a terminal; elsewhere plain lines, few. */
export function createProgressLine(io: CommandIo): ProgressLine {
  return io.stderr.isTTY ? createTerminalLine(io) : createPlainLines(io);
}

function createTerminalLine({ stderr }: CommandIo): ProgressLine {
  const bar = new cliProgress.SingleBar({
    format: "{bar} {text}",
    barsize: 20,
    stream: stderr,
    hideCursor: true,
    clearOnComplete: false,
    // The signals are ours to handle.
    gracefulExit: false,
  });
  let started = false;
  return {
    show(facts) {
      const { done, total } = toCounts(facts);
      const payload = { text: toText(facts) };
      if (!started) bar.start(total, done, payload);
      started = true;
      bar.setTotal(total);
      bar.update(done, payload);
    },
    end: () => bar.stop(),
  };
}

function createPlainLines({ stderr }: CommandIo): ProgressLine {
  let shownAt = -Infinity;
  let last = "";
  return {
    show(facts) {
      const { done, total } = toCounts(facts);
      const text = toText(facts);
      // Before the first chunk of the file is in there is nothing to say.
      if (total === 0) return;
      const isFinal = done === total && text !== last;
      if (!isFinal && performance.now() - shownAt < plainIntervalMs) return;
      shownAt = performance.now();
      last = text;
      writeLine(stderr, text);
    },
    end: () => undefined,
  };
}

function toCounts({ batch }: ProgressFacts): { done: number; total: number } {
  return { done: batch.accepted - batch.pending, total: batch.accepted };
}

function toText(facts: ProgressFacts): string {
  const { batch, images, callsPerSecond, allowedPerSecond, waiting } = facts;
  const { done, total } = toCounts(facts);
  const outcomes = contactStatuses
    .filter((status) => batch.finished[status] > 0)
    .map((status) => `${status} ${batch.finished[status]}`);
  const budget = `${callsPerSecond.toFixed(1)} calls/s, ${Math.round((100 * callsPerSecond) / allowedPerSecond)} % of the budget`;
  const leftMs = callsPerSecond > 0 ? (1000 * batch.pending) / callsPerSecond : 0;
  // The last few wait for their backoff, which the rate knows nothing of.
  const left = leftMs >= 1000 ? `${formatDuration(leftMs)} left` : "";
  const contacts = `${done}/${total}${batch.intakeComplete ? "" : "+"}`;
  const pictures = images && images.shown + images.wanted > 0 ? formatImageProgress(images) : "";
  return [contacts, ...outcomes, pictures, waiting ?? budget, left].filter(Boolean).join(" · ");
}
