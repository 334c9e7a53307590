import { setTimeout as delay } from "node:timers/promises";
import type { App, RunningWorker } from "../../app/app.ts";
import type { BatchImages } from "../../domain/views/batch-images.ts";
import type { BatchProgress } from "../../domain/views/batch-progress.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { findCarePause } from "../../domain/care/care-pause.ts";
import { toCareFacts } from "../../domain/care/care-view.ts";
import { explainHold } from "../../domain/trouble/hold.ts";
import { formatDuration } from "../../lib/duration.ts";
import { UserError } from "../../lib/errors.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";
import { describeCarePause } from "../instance/care-text.ts";
import { createProgressLine } from "./progress-line.ts";

/** How a bulk run ended. */
export type End =
  | { readonly kind: "done" }
  | { readonly kind: "stopped" }
  /** Only a person can mend it: there is no point in waiting. */
  | { readonly kind: "held"; readonly reason: string };

export interface WorkOffPorts {
  readonly app: App;
  readonly worker: RunningWorker;
  readonly instance: InstanceView;
  /** The file is still being read: more contacts may come. */
  readonly isReading: () => boolean;
}

const pollMs = 500;
/** A quota of correspondents leaves some chats to be asked: the end is when nothing has changed for so long. */
const lastAnswersMs = 6_000;
/** The progress of a million contacts takes a while to count: a tenth of the time at most goes into it. */
const pollShare = 10;
const countImagesEveryMs = 2_000;

/** Shows the progress of a batch until it is done, stopped, or cannot go on. */
export async function workOff(ports: WorkOffPorts, batchId: string, io: CommandIo): Promise<End> {
  const { app, worker, instance } = ports;
  const line = createProgressLine(io);
  const look = createPatientLook(ports, batchId, io);
  let pending: number | undefined;
  let changedAt = 0;
  try {
    for (;;) {
      const wasReading = ports.isReading();
      const askedAt = performance.now();
      const [batch, now, images] = await look();
      line.show({
        batch,
        images,
        callsPerSecond: worker.activity.callsPerSecond(instance.id),
        allowedPerSecond: instance.requestsPerSecond ?? app.config.requestsPerSecond,
        waiting: now && describeWaiting(now),
      });
      if (batch.pending !== pending) changedAt = askedAt;
      ({ pending } = batch);
      const end = wasReading ? undefined : findEnd(batch, now, askedAt - changedAt, io);
      if (end) return end;
      const tookMs = performance.now() - askedAt;
      const pauseMs = Math.max(pollMs, pollShare * tookMs);
      await delay(pauseMs, undefined, { signal: io.signal }).catch(() => undefined);
      // While the file is being closed after a Ctrl-C there is nothing to wait for but the file.
      if (io.signal.aborted) await delay(pollMs / 10);
    }
  } finally {
    line.end();
  }
}

/** A database that restarts does not end a run of hours. */
const patienceMs = 5 * 60_000;

/** Looks at the batch and its instance, and keeps trying while the database is away. */
function createPatientLook({ app, instance }: WorkOffPorts, batchId: string, io: CommandIo) {
  const countImages = createImageCount(app, batchId);
  const look = () => Promise.all([getProgress(app, batchId), app.instances.find(instance.id), countImages()]);
  return async (): ReturnType<typeof look> => {
    const giveUpAt = performance.now() + patienceMs;
    for (let tries = 1; ; tries += 1) {
      try {
        return await look();
      } catch (error) {
        if (error instanceof UserError || io.signal.aborted || performance.now() > giveUpAt) throw error;
        if (tries === 1) writeLine(io.stderr, "the database does not answer; waiting for it");
        await delay(1_000);
      }
    }
  };
}

/** Images for the line of progress: seldom, since each count goes through all members. Undefined: images are off. */
function createImageCount(app: App, batchId: string): () => Promise<BatchImages | undefined> {
  let counted: BatchImages | undefined;
  let nextAt = 0;
  return async () => {
    const askedAt = performance.now();
    if (askedAt < nextAt || (await app.images.describe()) === undefined) return counted;
    counted = await app.images.countOfBatch(batchId);
    const tookMs = performance.now() - askedAt;
    nextAt = performance.now() + Math.max(countImagesEveryMs, 2 * pollShare * tookMs);
    return counted;
  };
}

function findEnd(
  batch: BatchProgress,
  instance: InstanceView | undefined,
  unchangedMs: number,
  io: CommandIo,
): End | undefined {
  if (batch.pending === 0) return { kind: "done" };
  if (io.signal.aborted) return { kind: "stopped" };
  const reason = instance && findFinalHold(instance);
  if (reason === "correspondents-exhausted" && unchangedMs < lastAnswersMs) return undefined;
  return reason === undefined ? undefined : { kind: "held", reason };
}

/** Held for something that only a person can mend: there is no point in waiting for it. */
function findFinalHold({ state, heldReason, heldUntil }: InstanceView): string | undefined {
  if (state === "paused") return "paused";
  if (state !== "held" || heldReason === undefined || heldUntil === undefined || heldUntil <= new Date())
    return undefined;
  return explainHold(heldReason).advice === undefined ? undefined : heldReason;
}

function describeWaiting(instance: InstanceView): string | undefined {
  const { state, heldReason, heldUntil } = instance;
  const pause = state === "active" ? findCarePause(toCareFacts(instance), new Date()) : undefined;
  if (pause) return describeCarePause(pause, instance);
  if (state !== "held" || heldReason === undefined || heldUntil === undefined) return undefined;
  const { text, advice } = explainHold(heldReason);
  // What only a person can mend is not waited for.
  if (advice !== undefined) return text;
  return `waiting ${formatDuration(heldUntil.getTime() - Date.now())}: ${text}`;
}

/** @throws when the batch is gone: its instance was removed meanwhile */
export async function getProgress(app: App, batchId: string): Promise<BatchProgress> {
  const progress = await app.batches.findProgress(batchId);
  if (progress === undefined) {
    throw new UserError("unknown-batch", "the batch is gone: was its instance removed meanwhile?");
  }
  return progress;
}
