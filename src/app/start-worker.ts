import { randomUUID } from "node:crypto";
import { simulatedInstanceId, type InstanceId } from "../domain/instance-id.ts";
import { createChatHash } from "../lib/secrets/chat-hash.ts";
import { settleWithin } from "../lib/deadline.ts";
import { startEvery } from "../lib/start-every.ts";
import type { LogEvents } from "./log-events.ts";
import { tapEvents } from "../lib/tap-events.ts";
import type { Metrics } from "../metrics/create-metrics.ts";
import type { Base } from "./base.ts";
import { openResync } from "./resyncs.ts";
import { checkTokens, createTokenCache } from "./tokens.ts";
import type { Queues } from "../queue/queues.ts";
import { isTransient, openDatabase } from "../store/postgres/database.ts";
import { createBatchFinisher } from "../store/batches/finish-batches.ts";
import { findDueInstances } from "../store/work/find-due-instances.ts";
import { createRunLedger, type LedgerSettings } from "../store/work/run-ledger.ts";
import { applyLookupsAside } from "../store/work/save-lookups.ts";
import { startRetention } from "../store/retention/start-retention.ts";
import { writeActivity } from "../store/status/worker-activity.ts";
import { observeActivity, type Activity } from "../worker/activity.ts";
import { createWorker } from "../worker/create-worker.ts";
import { startActivityReport } from "../worker/report-activity.ts";
import { startSweep } from "../worker/sweep.ts";
import { createWakeTimers } from "../worker/wake-timers.ts";
import { acceptRequest } from "./accept-job.ts";

/** Hundreds of instances claim, each twice a second, and a claim takes milliseconds. */
const claimConnections = 6;

/** Whoever reads a batch sees at once that it is done; this is for lists. */
const finishIntervalMs = 5_000;

/** An answer that was put aside is seen this long, at most, after its contact is free. */
const asideIntervalMs = 1_000;

/** A dead process's claims are free after this long; a living one extends them. */
const claimLeaseMs = 30_000;

/** A worker that takes instance runs until it is stopped. */
export interface RunningWorker {
  readonly activity: Activity;
  readonly backend: "postgres" | "redis";
  /** Claims nothing new, finishes what is in flight within the grace period, gives the rest back. */
  stop(): Promise<void>;
}

/** Starts instance runs, requests from the queue, and a worker's background tasks. @throws UserError `wrong-secret-key` */
export async function startWorker(
  base: Base,
  queues: Queues,
  metrics: Metrics | undefined,
): Promise<RunningWorker> {
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
