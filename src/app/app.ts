import type { Config } from "../config.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { ResultFilter, ResultRow } from "../domain/views/result-row.ts";
import type { HeldInstance, InstanceStatus } from "../domain/views/instance-status.ts";
import type { BatchProgress } from "../domain/views/batch-progress.ts";
import { forgetInstanceInQueue } from "./subjects/forget-in-queue.ts";
import type { NewBatch } from "../domain/requests/batch-request.ts";
import type { IntakeCounts } from "../domain/requests/incoming-contact.ts";
import { importRecords, type ImportOptions, type ImportPorts } from "../intake/import-records.ts";
import type { IntakeRecord, RecordUnit } from "../intake/intake-record.ts";
import { beforeFirst } from "./subjects/before-first.ts";
import { once } from "../lib/closing/once.ts";
import { settleWithin } from "../lib/deadline.ts";
import { openBase, type Base, type BaseOptions } from "./base.ts";
import { createApiKeys, type ApiKeys } from "./api-keys.ts";
import type { RunningApi } from "./api.ts";
import { createInstances, type Instances } from "./instances.ts";
import { createContactLister, type ContactLister } from "./contact-lister.ts";
import { openMetrics, serveMetricsPort } from "./metrics.ts";
import { createResyncs, type Resyncs } from "./resyncs.ts";
import type { Queues } from "../queue/queues.ts";
import { acceptChunk, createBatch, finishIntake } from "../store/accept/accept-chunk.ts";
import { findBatchProgress } from "../store/batches/find-batch-progress.ts";
import { findHeldInstances, findStalledInstances } from "../store/work/find-due-instances.ts";
import { readResults } from "../store/batches/read-results.ts";
import { readStatus } from "../store/status/read-status.ts";
import { startWorker, type RunningWorker } from "./start-worker.ts";

export type { RunningWorker } from "./start-worker.ts";

export { openSource } from "../intake/open-source.ts";
export { readContactList } from "../intake/read-contact-list.ts";
export { readContacts, type ContactColumns } from "../intake/read-contacts.ts";
export { readSource } from "./read-source.ts";
export { encodeResults, type ResultFormat } from "../results/encode-results.ts";
export { startSimulator } from "../simulator/start-simulator.ts";
export type { IntakeRecord, RecordUnit };

/** An import does not try a queue that is away again for every chunk. */
const queueRetryMs = 60_000;
/** A person waits for the command, which would be done without a queue. */
const wakeDeadlineMs = 3_000;

/** The product without a face: what the commands do, they do through this. */
export interface App {
  readonly config: Config;
  readonly instances: Instances;
  readonly apiKeys: ApiKeys;
  readonly resyncs: Resyncs;
  /**
   * Takes what a reader gives into a new batch, which is opened when the first records are there.
   * @throws UserError, and whatever the reader throws; what was committed before stays
   */
  importRecords(
    records: AsyncIterable<readonly IntakeRecord[]>,
    batch: NewBatch,
    options: ImportOptions,
    ports: RecordPorts,
  ): Promise<IntakeCounts>;
  /** The contacts that GREEN-API lists for an instance, as it wrote them. @throws UserError */
  readonly listContacts: ContactLister;
  findBatchProgress(batchId: string): Promise<BatchProgress | undefined>;
  readResults(filter: ResultFilter): AsyncGenerator<ResultRow>;
  /** Of all instances, or of one. */
  readStatus(only?: InstanceId): Promise<InstanceStatus[]>;
  /** Instances with due contacts that no worker works on. Cheap, for health checks. */
  findStalledInstances(): Promise<InstanceId[]>;
  /** Held instances that contacts wait for. Cheap too. */
  findHeldInstances(): Promise<HeldInstance[]>;
  /**
   * Starts working: instance runs, requests from the queue, the sweep.
   * @param options.isService it runs for good: it counts what it does, serves metrics where METRICS_PORT is set, and resyncs
   */
  startWorker(options?: { readonly isService: boolean }): Promise<RunningWorker>;
  /**
   * Serves the HTTP API on HOST and PORT.
   * @throws UserError `api-unavailable` where it cannot listen
   */
  serveApi(): Promise<RunningApi>;
  /** Something of the caller's that must be closed before the database. */
  onClose(name: string, close: () => Promise<void>): void;
  /** Closes everything, last opened first. Twice is harmless. */
  close(): Promise<void>;
}

export interface RecordPorts extends Pick<ImportPorts, "reject"> {
  /** Told before any reject: the batch exists from here on, whatever becomes of the input. */
  readonly opened: (batchId: string) => void;
}

/**
 * Opens the database (the embedded one where DATABASE_URL is not set) and wires the stages.
 * @throws UserError
 */
export async function openApp(config: Config, options: BaseOptions): Promise<App> {
  const base = await openBase(config, options);
  const { database, closer } = base;
  const { pool } = database;
  const getQueues = createQueueOpener(base);

  const wake = createWake(getQueues);
  const getMetrics = once(() => openMetrics(base));

  return {
    config,
    apiKeys: createApiKeys(base),
    instances: createInstances(
      base,
      async (id) => void (await settleWithin(wake(id), wakeDeadlineMs)),
      async (id) => forgetInstanceInQueue(getQueues, id),
    ),
    async importRecords(records, batch, importOptions, ports) {
      let batchId = "";
      const input = beforeFirst(records, async () => {
        batchId = await createBatch(pool, batch);
        ports.opened(batchId);
      });
      const counts = await importRecords(input, importOptions, {
        ...ports,
        async acceptChunk(chunk) {
          await acceptChunk(pool, batchId, chunk);
          await wake(batch.instanceId);
        },
      });
      await finishIntake(pool, batchId, counts);
      return counts;
    },
    listContacts: createContactLister(base),
    findBatchProgress: (batchId) => findBatchProgress(pool, batchId),
    readResults: (filter) => readResults(pool, filter),
    readStatus: (only) => readStatus(pool, config.requestsPerSecond, only),
    findStalledInstances: () => findStalledInstances(pool),
    findHeldInstances: () => findHeldInstances(pool),
    async startWorker({ isService } = { isService: false }) {
      const watching = isService ? getMetrics() : undefined;
      if (watching) await serveMetricsPort(base, watching);
      return startWorker(base, await getQueues(), watching);
    },
    resyncs: createResyncs(base, database),
    async serveApi() {
      const { openApi } = await import("./api.ts");
      return openApi(base, { wake: (id) => void wake(id), getQueues, metrics: getMetrics() });
    },
    onClose: closer.add,
    close: closer.close,
  };
}

/** Queues a run of an instance. Its contacts are in Postgres already; without a queue the sweep of a worker finds them. */
function createWake(getQueues: () => Promise<Queues>): (instanceId: InstanceId) => Promise<void> {
  let noQueuesUntil = 0;
  return async (instanceId) => {
    if (performance.now() < noQueuesUntil) return;
    const queues = await getQueues().catch(() => undefined);
    if (queues === undefined) noQueuesUntil = performance.now() + queueRetryMs;
    await queues?.wakeInstances([instanceId]);
  };
}

/**
 * Opens the queues when they are first needed: most commands never do, and are not to wait for BullMQ to be loaded. So it is with
 * the API and with what calls GREEN-API: together they are more than half of the time that a short command takes.
 */
function createQueueOpener({ config, databaseUrl, events, closer, simulated }: Base): () => Promise<Queues> {
  let opening: Promise<Queues> | undefined;
  const open = async () => {
    const { openQueues } = await import("../queue/queues.ts");
    const queues = await openQueues({ databaseUrl, redisUrl: config.redisUrl, simulated }, events);
    closer.add("queues", () => queues.close());
    return queues;
  };
  return () => {
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
}
