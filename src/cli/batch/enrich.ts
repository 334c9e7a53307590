import { basename } from "node:path";
import { openApp, startSimulator, type App, type RunningWorker } from "../../app/app.ts";
import type { BatchProgress } from "../../domain/views/batch-progress.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { readConfig, type Config } from "../../config.ts";
import type { HostPort } from "../../domain/host-port.ts";
import { simulatedInstanceId } from "../../domain/instance-id.ts";
import { contactStatuses, isClear } from "../../domain/contact-status.ts";
import { openFileSource } from "./contact-source.ts";
import { formatSummary, type Summary } from "./enrich-summary.ts";
import { assertDistinctFiles, toRejectsPath, toResultsPath } from "./file-names.ts";
import { exitCodes, toStoppedCode, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { toCommandLine } from "../terminal/typed-command.ts";
import { readIntoBatch, type BatchRead, type BatchTarget, type IntakeOptions } from "./read-into-batch.ts";
import { getInstance, resolveInstance } from "../instance/resolve-instance.ts";
import { toResultFormat, writeResultsFile } from "./results-file.ts";
import { writeGalleryFile } from "./gallery-file.ts";
import { writeImageFolder } from "./image-folder.ts";
import { waitForImages } from "./wait-for-images.ts";
import { assertWritable } from "../terminal/output-file.ts";
import { getProgress, workOff, type End } from "./work-off.ts";

export interface EnrichOptions extends IntakeOptions {
  readonly file: string;
  readonly simulate: boolean;
  readonly out?: string;
  readonly rejects?: string;
  readonly allowIncomplete: boolean;
  readonly gallery?: string;
  readonly images?: string;
  readonly json: boolean;
}

/** `avatars enrich`: import, work until every contact has an outcome, write the results. */
export async function enrich(options: EnrichOptions, io: CommandIo): Promise<number> {
  const config = readConfig();
  const resultsPath = options.out ?? toResultsPath(options.file);
  const rejectsPath = options.rejects ?? toRejectsPath(resultsPath);
  await assertDistinctFiles({
    "the input": options.file,
    "the results": resultsPath,
    "the rejects": rejectsPath,
    ...(options.gallery !== undefined && { "the gallery": options.gallery }),
  });
  const source = await openFileSource(options.file, options, io.signal);
  toResultFormat(resultsPath);
  await assertWritable(resultsPath);
  if (options.gallery !== undefined) await assertWritable(options.gallery);
  announce(options, config, io);
  const app = await openApp(config, {
    defaultLogLevel: "error",
    maxConnections: 6,
    migrate: false,
    simulated: options.simulate,
    signal: io.signal,
  });
  try {
    const { instance, imageHosts } = options.simulate
      ? await openSimulatedInstance(app)
      : { instance: await resolveInstance(app, options.instance), imageHosts: [] };
    // A person waits: a hold from an earlier run is put to the test at once.
    await app.instances.probeNow(instance.id);
    const target = { source, instance, priority: 1, rejectsPath };
    return await runBatch(app, options, { target, resultsPath, imageHosts }, io);
  } catch (error) {
    if (!io.signal.aborted) throw error;
    writeLine(io.stderr, "stopped; everything done so far is kept: run the same command again to continue");
    return toStoppedCode(io);
  } finally {
    await app.close();
  }
}

interface BatchRun {
  readonly target: Omit<BatchTarget, "onOpened">;
  readonly resultsPath: string;
  /** The simulator's, where its pictures are. */
  readonly imageHosts: readonly HostPort[];
}

/** From the first contact that is read to the summary. */
async function runBatch(
  app: App,
  options: EnrichOptions,
  { target, resultsPath, imageHosts }: BatchRun,
  io: CommandIo,
): Promise<number> {
  const { instance } = target;
  const startedAt = performance.now();
  const { read, end, worker } = await readAndWorkOff(app, options, { target, imageHosts }, io);
  if (end.kind === "stopped") {
    const graceSeconds = Math.round(app.config.shutdownGraceMs / 1000);
    writeLine(
      io.stderr,
      `stopping: calls in flight have up to ${graceSeconds} s; Ctrl-C again stops at once`,
    );
  }
  const isKept = (await app.images.describe()) !== undefined;
  const images = isKept ? await waitForImages(app, read.batchId, io) : undefined;
  await worker.stop();
  const batch = await getProgress(app, read.batchId);
  const rows = app.batches.readResults({ batchId: read.batchId });
  await writeResultsFile(resultsPath, rows, { readerSignal: io.signal });
  await writePictures(app, options, read.batchId, io);
  const summary: Summary = {
    end,
    batch,
    reading: target.source.reading,
    several: read.counts.several,
    calls: worker.activity.calls(instance.id),
    tookMs: performance.now() - startedAt,
    resultsPath,
    rejectsPath: read.rejectsPath,
    images,
    galleryPath: options.gallery,
    imageFolder: options.images,
  };
  if (options.json) writeJson(io.stdout, summary);
  else {
    const { command, args } = io;
    const commandLine = toCommandLine(command, args);
    const context = { instance, simulated: options.simulate, command, commandLine };
    for (const line of formatSummary(summary, context)) writeLine(io.stdout, line);
  }
  return toExitCode(end, batch, read, options, io);
}

function announce({ simulate }: EnrichOptions, config: Config, io: CommandIo): void {
  const place =
    config.databaseUrl === undefined
      ? `the embedded Postgres in ${config.dataDir}`
      : "the Postgres of DATABASE_URL";
  const queue = config.redisUrl === undefined ? "" : ", the queue in Redis";
  writeLine(
    io.stderr,
    `data: ${place}${queue}; provider: ${simulate ? "the built-in simulator" : "GREEN-API"}`,
  );
}

/** The simulator on a free port, as an instance that no other process calls. The instance is paused when the simulator goes. */
async function openSimulatedInstance(
  app: App,
): Promise<{ readonly instance: InstanceView; readonly imageHosts: readonly HostPort[] }> {
  const simulator = await startSimulator({
    requestsPerSecond: app.config.requestsPerSecond,
    pictures: app.config.images.kind !== "off",
  });
  app.onClose("simulator", async () => {
    await app.instances.pause(simulatedInstanceId, app.operator);
    await simulator.close();
  });
  await app.instances.put(
    {
      id: simulatedInstanceId,
      apiUrl: simulator.url,
      token: "simulated",
      label: "simulator",
    },
    app.operator,
  );
  await app.instances.resume(simulatedInstanceId, app.operator);
  const { hostname: host, port } = new URL(simulator.url);
  return {
    instance: await getInstance(app, simulatedInstanceId),
    imageHosts: [{ host, port: Number(port) }],
  };
}

/** What a person sees of a batch: its pictures as files, and as a page. */
async function writePictures(
  app: App,
  { file, gallery, images }: EnrichOptions,
  batchId: string,
  io: CommandIo,
): Promise<void> {
  const readRows = () => app.batches.readResults({ batchId });
  if (images !== undefined) await writeImageFolder(app, images, readRows(), io.signal);
  const title = file === "-" ? "Contacts" : basename(file);
  if (gallery !== undefined) await writeGalleryFile(app, gallery, readRows(), { title });
}

/**
 * Reads the file while the first of its contacts are being asked for already. The worker starts when the batch is there:
 * before, answers for an earlier run's rest would count as fresh.
 */
async function readAndWorkOff(
  app: App,
  options: EnrichOptions,
  { target, imageHosts }: Pick<BatchRun, "target" | "imageHosts">,
  io: CommandIo,
): Promise<{ read: BatchRead; end: End; worker: RunningWorker }> {
  let working: Promise<{ end: End; worker: RunningWorker }> | undefined;
  let isReading = true;
  const work = async (batchId: string) => {
    const worker = await app.startWorker({ imageHosts });
    const ports = { app, worker, instance: target.instance, isReading: () => isReading };
    return { worker, end: await workOff(ports, batchId, io) };
  };
  const onOpened = (batchId: string) => {
    working = work(batchId);
    // Met below, unless reading fails first: then that is what to tell.
    working.catch(() => undefined);
  };
  const read = await readIntoBatch(app, options, { ...target, onOpened }, io).finally(() => {
    isReading = false;
  });
  const { fresh, accepted } = await getProgress(app, read.batchId);
  if (fresh === accepted) writeLine(io.stderr, "all contacts have a fresh answer: no call needed");
  return { read, ...(await (working ?? work(read.batchId))) };
}

function toExitCode(
  end: End,
  batch: BatchProgress,
  read: BatchRead,
  options: EnrichOptions,
  io: CommandIo,
): number {
  if (end.kind === "stopped") return toStoppedCode(io);
  const unclear = contactStatuses
    .filter((status) => !isClear(status))
    .reduce((sum, status) => sum + batch.finished[status], 0);
  const complete = batch.pending + unclear + read.counts.rejected === 0;
  if (complete) return exitCodes.done;
  return options.allowIncomplete && end.kind === "done" ? exitCodes.done : exitCodes.incomplete;
}
