import { randomUUID } from "node:crypto";
import type { Config } from "../config.ts";
import { simulatedInstanceId, type InstanceId } from "../domain/instance-id.ts";
import type { ResultRow } from "../domain/views/result-row.ts";
import type { InstanceView } from "../domain/views/instance-view.ts";
import type { BatchProgress } from "../domain/views/batch-progress.ts";
import { forgetInstanceInQueue } from "./forget-in-queue.ts";
import {
  importRecords,
  type ImportCounts,
  type ImportOptions,
  type ImportPorts,
} from "../intake/import-records.ts";
import type { Contact, IntakeRecord, RecordUnit, Reject } from "../intake/intake-record.ts";
import { parseRequest } from "../intake/parse-request.ts";
import { beforeFirst } from "./before-first.ts";
import { createChatHash } from "../lib/secrets/chat-hash.ts";
import { settleWithin } from "../lib/deadline.ts";
import { startEvery } from "../lib/start-every.ts";
import type { LogEvents } from "./log-events.ts";
import { tapEvents } from "../lib/tap-events.ts";
import type { Metrics } from "../metrics/create-metrics.ts";
import { openBase, type Base, type BaseOptions } from "./base.ts";
import { createApiKeys, type ApiKeys } from "./api-keys.ts";
import type { RunningApi } from "./api.ts";
import { createInstances, type Instances } from "./instances.ts";
import { createContactLister, type ContactLister } from "./contact-lister.ts";
import { openMetrics, serveMetricsPort } from "./metrics.ts";
import { createResyncs, openResync, type ResyncForecast, type Resyncs } from "./resyncs.ts";
import { checkTokens, createTokenCache } from "./tokens.ts";
import type { Queues } from "../queue/queues.ts";
import type { RequestResult } from "../queue/request-consumer.ts";
import {
  acceptChunk,
  acceptWhole,
  createBatch,
  finishIntake,
  type IncomingContact,
  type NewBatch,
} from "../store/accept/accept-chunk.ts";
import { isTransient, openDatabase } from "../store/postgres/database.ts";
import { createBatchFinisher } from "../store/batches/finish-batches.ts";
import { findBatchProgress } from "../store/batches/find-batch-progress.ts";
import {
  findDueInstances,
  findHeldInstances,
  findStalledInstances,
  type HeldInstance,
} from "../store/work/find-due-instances.ts";
import { readResults, type ResultFilter } from "../store/batches/read-results.ts";
import { createRunLedger, type LedgerSettings } from "../store/work/run-ledger.ts";
import { applyLookupsAside } from "../store/work/save-lookups.ts";
import { startRetention } from "../store/retention/start-retention.ts";
import { readStatus, type InstanceStatus } from "../store/status/read-status.ts";
import { writeActivity } from "../store/status/worker-activity.ts";
import { observeActivity, type Activity } from "../worker/activity.ts";
import { createWorker } from "../worker/create-worker.ts";
import { startActivityReport } from "../worker/report-activity.ts";
import { startSweep } from "../worker/sweep.ts";
import { createWakeTimers } from "../worker/wake-timers.ts";

export { openSource } from "../intake/open-source.ts";
export { readContactList } from "../intake/read-contact-list.ts";
export { readContacts, type ContactColumns } from "../intake/read-contacts.ts";
export { readSource } from "./read-source.ts";
export { encodeResults, type ResultFormat } from "../results/encode-results.ts";
export { startSimulator } from "../simulator/start-simulator.ts";
export type {
  Activity,
  BatchProgress,
  HeldInstance,
  Reject,
  ImportCounts,
  InstanceStatus,
  IntakeRecord,
  InstanceView,
  RecordUnit,
  ResultFilter,
  ResultRow,
  ResyncForecast,
};

/** An import does not try a queue that is away again for every chunk. */
const queueRetryMs = 60_000;
/** Somebody waits for a command that would be done without a queue. */
const wakeDeadlineMs = 3_000;
/** Hundreds of instances claim, each twice a second, and a claim takes milliseconds. */
const claimConnections = 6;
/** Whoever reads a batch sees at once that it is done; this is for lists. */
const finishIntervalMs = 5_000;
/** An answer that was put aside is seen this long, at most, after its contact is free. */
const asideIntervalMs = 1_000;
/** A dead process's claims are free after this long; a living one extends them. */
const claimLeaseMs = 30_000;

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
  ): Promise<ImportCounts>;
  /** The contacts that GREEN-API lists for an instance, as it wrote them. @throws UserError */
  readonly listContacts: ContactLister;
  findBatchProgress(batchId: string): Promise<BatchProgress | undefined>;
  readResults(filter: ResultFilter): AsyncGenerator<ResultRow>;
  /** Of all instances, or of one. */
  readStatus(only?: InstanceId): Promise<InstanceStatus[]>;
  /** Instances with due contacts that nobody works on. Cheap, for health checks. */
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

export interface RunningWorker {
  readonly activity: Activity;
  readonly backend: "postgres" | "redis";
  /** Claims nothing new, finishes what is in flight within the grace period, gives the rest back. */
  stop(): Promise<void>;
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

  let noQueuesUntil = 0;
  /** Contacts are in Postgres already; without a queue the sweep of a worker finds them. */
  const wake = async (instanceId: InstanceId) => {
    if (performance.now() < noQueuesUntil) return;
    const queues = await getQueues().catch(() => undefined);
    if (queues === undefined) noQueuesUntil = performance.now() + queueRetryMs;
    await queues?.wakeInstances([instanceId]);
  };

  let metrics: Metrics | undefined;
  const getMetrics = () => (metrics ??= openMetrics(base));

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
          await acceptChunk(pool, batchId, chunk.map(toIncoming));
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

async function startWorker(base: Base, queues: Queues, metrics: Metrics | undefined): Promise<RunningWorker> {
  const { config, database, events, closer, simulated } = base;
  const { pool } = database;
  await checkTokens(base);
  const openToken = createTokenCache(base.secrets());
  const claims = await openDatabase({
    url: base.databaseUrl,
    maxConnections: claimConnections,
    commitsLater: true,
    onConnectionLost: (error) => events.connectionLost(error),
  });
  closer.add("claims", () => claims.close());
  const settings: LedgerSettings = {
    requestsPerSecond: config.requestsPerSecond,
    oldestShare: config.oldestShare,
    random: Math.random,
    claimLeaseMs,
    hashErased: createChatHash(base.secretKey(), "erased chats"),
  };
  const isOurs = (id: InstanceId) => (id === simulatedInstanceId) === simulated;
  const { createGreenApi } = await import("../provider/green-api.ts");
  const greenApi = createGreenApi({ callTimeoutMs: config.callTimeoutMs });
  const timers = createWakeTimers((instanceId) => void queues.wakeInstances([instanceId]));
  const observed = observeActivity(metrics ? tapEvents(events, metrics.events) : events);
  metrics?.watch(observed.activity.report);
  const worker = createWorker({
    ledger: createRunLedger(database, settings, claims),
    isTransient,
    getAvatar: observed.watch(greenApi.getAvatar),
    getState: greenApi.getState,
    openToken,
    wakeAfter: timers.wakeAfter,
    othersWait: queues.runsWait,
    clock: performance,
    random: Math.random,
    settings: {
      sliceMs: config.runSliceMs,
      maxInFlight: config.maxInFlight,
      claimLeaseMs,
      retry: config.retry,
      probe: { probeBaseMs: config.probeBaseMs, probeMaxMs: config.probeMaxMs },
      refresh: config.refresh,
    },
    events: observed.events,
  });

  const runs = await queues.consumeRuns({
    concurrency: config.runsPerProcess,
    async process(instanceId, signal) {
      if (!isOurs(instanceId)) return false;
      const end = await worker.run(instanceId, signal);
      events.runEnded({ instanceId, end });
      return end === "sliced";
    },
  });
  // Requests are for real instances.
  const requests = simulated
    ? undefined
    : await queues.consumeRequests({ handle: (data) => acceptRequest(base, queues, data) });
  const stopSweep = startSweep({
    findDueInstances: async () => (await findDueInstances(pool)).filter(isOurs),
    wakeInstances: queues.wakeInstances,
    random: Math.random,
    onError: (error) => events.ledgerFailed({ where: "sweep" }, error),
  });
  const stopAside = startEvery({
    run: async () => applyAside(pool, events),
    intervalMs: asideIntervalMs,
    random: Math.random,
    onError: (error) => events.ledgerFailed({ where: "save lookups that were put aside" }, error),
  });
  const stopFinishing = startEvery({
    run: createBatchFinisher(pool),
    intervalMs: finishIntervalMs,
    random: Math.random,
    onError: (error) => events.ledgerFailed({ where: "finish batches" }, error),
  });
  const stopResync = metrics ? await openResync(base, queues) : undefined;
  const stopRetention = startRetention({
    pool,
    keepChangesMs: config.keepChangesMs,
    keepBatchesMs: config.keepBatchesMs,
    random: Math.random,
    onRemoved: (removed) => events.oldRowsRemoved(removed),
    onError: (what, error) => events.ledgerFailed({ where: `remove ${what}` }, error),
  });
  const processId = randomUUID();
  const stopReport = startActivityReport({
    report: observed.activity.report,
    write: (activity) => writeActivity(pool, processId, activity),
    onError: (error) => events.ledgerFailed({ where: "report activity" }, error),
  });
  events.workerStarted({ backend: queues.backend, runsPerProcess: config.runsPerProcess, ...config.retry });

  let stopped: Promise<void> | undefined;
  const stopNow = async () => {
    const graceMs = config.shutdownGraceMs;
    events.workerStopping({ callsInFlight: worker.callsInFlight(), graceMs });
    timers.clear();
    // Runs end at once: their calls in flight are the worker's to wait for.
    await Promise.all([
      settleWithin(
        Promise.all([stopSweep(), stopAside(), stopFinishing(), stopRetention(), stopResync?.()]),
        2_000,
      ),
      runs.stop(graceMs),
      requests?.stop(graceMs),
      worker.stop(graceMs),
    ]);
    await Promise.all([greenApi.close(), stopReport()]);
    events.workerStopped();
  };
  const stop = () => (stopped ??= stopNow());
  closer.add("worker", stop);
  return { activity: observed.activity, backend: queues.backend, stop };
}

async function applyAside(pool: Base["database"]["pool"], events: LogEvents): Promise<void> {
  const { records, refused } = await applyLookupsAside(pool, isTransient);
  if (records > 0) events.asideSaved({ records });
  for (const { contactId, error } of refused) events.asideRefused({ contactId }, error);
}

/** Writes a request that came through the queue to the ledger. @throws UserError when it is the request's fault */
async function acceptRequest({ database }: Base, queues: Queues, data: unknown): Promise<RequestResult> {
  const { contacts, rejected, ...batch } = await parseRequest(data);
  const { batchId, accepted } = await acceptWhole(
    database.pool,
    { ...batch, source: "bullmq" },
    contacts.map(toIncoming),
    rejected.length,
  );
  await queues.wakeInstances([batch.instanceId]);
  return { batchId, accepted, duplicates: contacts.length - accepted, rejected };
}

function toIncoming({ chatId, externalRef, line }: Contact): IncomingContact {
  return { chatId, externalRef, position: line };
}
