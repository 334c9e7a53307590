import { randomUUID } from "node:crypto";
import { simulatedInstanceId, type InstanceId } from "../domain/instance-id.ts";
import type { RunLedger } from "../domain/ledger/run-ledger.ts";
import type { HostPort } from "../domain/host-port.ts";
import { once } from "../lib/closing/once.ts";
import { createChatHash } from "../lib/secrets/chat-hash.ts";
import { startTasks } from "../lib/start-tasks.ts";
import { tapEvents } from "../lib/tap-events.ts";
import type { Metrics } from "../metrics/create-metrics.ts";
import type { GreenApi } from "../provider/green-api.ts";
import type { Consumer } from "../queue/consumer.ts";
import type { Queues } from "../queue/queues.ts";
import { isTransient, openDatabase } from "../store/postgres/database.ts";
import { createRunLedger, type LedgerSettings } from "../store/work/run-ledger.ts";
import { writeActivity } from "../store/status/worker-activity.ts";
import { observeActivity, type Activity } from "../worker/activity.ts";
import { createWorker, type AvatarWorker } from "../worker/create-worker.ts";
import { startActivityReport } from "../worker/report-activity.ts";
import { createWakeTimers, type WakeTimers } from "../worker/wake-timers.ts";
import { acceptRequest } from "./accept-job.ts";
import type { Base } from "./base.ts";
import { openImageTaking, type ImageTaking } from "./image-taking.ts";
import type { Images } from "./images.ts";
import { checkTokens, createTokenCache } from "./tokens.ts";
import { openWorkerTasks } from "./worker-tasks.ts";

/** Hundreds of instances claim, each twice a second, and a claim takes milliseconds. */
const claimConnections = 6;

/** A dead process's claims are free after this long; a living one extends them. */
const claimLeaseMs = 30_000;

/** Background tasks that are at work when the worker stops have so long. */
const tasksStopMs = 2_000;

/** A worker that takes instance runs until it is stopped. */
export interface RunningWorker {
  readonly activity: Activity;
  /** Does it take no image at the moment? */
  readonly isImageIdle: () => boolean;
  readonly backend: "postgres" | "redis";
  /** Claims nothing new, finishes what is in flight within the grace period, gives the rest back. */
  stop(): Promise<void>;
}

/**
 * Starts to take instance runs and requests from the queue, then the background tasks, and the activity report last. When it
 * stops, runs, calls and tasks end side by side. After them come the connections to GREEN-API and the report.
 * @throws UserError `wrong-secret-key`
 */
export async function startWorker(
  base: Base,
  queues: Queues,
  metrics: Metrics | undefined,
  { kept, hosts }: { readonly kept: Images | undefined; readonly hosts: readonly HostPort[] },
): Promise<RunningWorker> {
  const { config, events, closer, simulated } = base;
  const told = metrics ? { ...base, events: tapEvents(events, metrics.images) } : base;
  const images = kept && (await openImageTaking(told, kept, hosts));
  const { worker, timers, greenApi, activity } = await openEngine(base, queues, metrics, images);
  const isOurs = (id: InstanceId) => (id === simulatedInstanceId) === simulated;
  const consumers = await startConsumers(base, queues, worker, isOurs);
  const tasks = await openWorkerTasks(base, queues, { isOurs, isService: metrics !== undefined }, images);
  const stopTasks = startTasks(tasks, {
    random: Math.random,
    onError: (where, error) => events.ledgerFailed({ where }, error),
    stopWithinMs: tasksStopMs,
  });
  const stopReport = startReport(base, activity);
  events.workerStarted({ backend: queues.backend, runsPerProcess: config.runsPerProcess, ...config.retry });

  const stop = once(async () => {
    const graceMs = config.shutdownGraceMs;
    events.workerStopping({ callsInFlight: worker.callsInFlight(), graceMs });
    timers.clear();
    // Runs end at once: their calls in flight are the worker's to wait for.
    await Promise.all([
      stopTasks(),
      ...consumers.map((consumer) => consumer.stop(graceMs)),
      worker.stop(graceMs),
    ]);
    // Answers that were saved last are offered still.
    await Promise.all([images?.stop(graceMs), greenApi.close(), stopReport()]);
    events.workerStopped();
  });
  closer.add("worker", stop);
  return { activity, isImageIdle: () => images?.isIdle() ?? true, backend: queues.backend, stop };
}

/** The parts that work on an instance when its run comes. */
interface Engine {
  readonly worker: AvatarWorker;
  readonly timers: WakeTimers;
  readonly greenApi: GreenApi;
  readonly activity: Activity;
}

/** @throws UserError `wrong-secret-key`, `no-secret-key` */
async function openEngine(
  base: Base,
  queues: Queues,
  metrics: Metrics | undefined,
  images: ImageTaking | undefined,
): Promise<Engine> {
  const { config, events } = base;
  await checkTokens(base);
  const openToken = createTokenCache(base.secrets());
  const ledger = await openRunLedger(base);
  const { createGreenApi } = await import("../provider/green-api.ts");
  const greenApi = createGreenApi({ callTimeoutMs: config.callTimeoutMs });
  const timers = createWakeTimers((instanceId) => void queues.wakeInstances([instanceId]));
  const observed = observeActivity(metrics ? tapEvents(events, metrics.events) : events);
  metrics?.watch(observed.activity.report);
  const worker = createWorker({
    ledger,
    isTransient,
    offerImages: images?.offer,
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
  return { worker, timers, greenApi, activity: observed.activity };
}

/** The ledger of instance runs, whose claims have connections of their own. */
async function openRunLedger(base: Base): Promise<RunLedger> {
  const { config, database, events, closer } = base;
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
    keepsImages: base.config.images.kind !== "off",
  };
  return createRunLedger(database, settings, claims);
}

/** Takes instance runs, and requests where the process works for real instances. */
async function startConsumers(
  base: Base,
  queues: Queues,
  worker: AvatarWorker,
  isOurs: (id: InstanceId) => boolean,
): Promise<Consumer[]> {
  const { config, events, simulated } = base;
  const runs = await queues.consumeRuns({
    concurrency: config.runsPerProcess,
    async process(instanceId, signal) {
      if (!isOurs(instanceId)) return false;
      const end = await worker.run(instanceId, signal);
      events.runEnded({ instanceId, end });
      return end === "sliced";
    },
  });
  if (simulated) return [runs];
  return [runs, await queues.consumeRequests({ handle: (data) => acceptRequest(base, queues, data) })];
}

/** Shows other processes, under an id of its own, what this one does. */
function startReport({ database, events }: Base, activity: Activity): () => Promise<void> {
  const processId = randomUUID();
  return startActivityReport({
    report: activity.report,
    write: (shown) => writeActivity(database.pool, processId, shown),
    onError: (error) => events.ledgerFailed({ where: "report activity" }, error),
  });
}
