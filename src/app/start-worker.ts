import { randomUUID } from "node:crypto";
import { simulatedInstanceId, type InstanceId } from "../domain/instance-id.ts";
import type { RunLedger } from "../domain/ledger/run-ledger.ts";
import type { HostPort } from "../domain/host-port.ts";
import { once } from "../lib/closing/once.ts";
import { createChatHash } from "../lib/secrets/chat-hash.ts";
import { createSharedReads } from "../lib/reads/shared-reads.ts";
import { startTasks, type BackgroundTask } from "../lib/start-tasks.ts";
import { tapEvents } from "../lib/tap-events.ts";
import type { Metrics } from "../metrics/create-metrics.ts";
import type { GreenApi } from "../provider/green-api.ts";
import type { Consumer } from "../queue/consumer.ts";
import type { Queues } from "../queue/queues.ts";
import { isTransient, openDatabase, type Database } from "../store/postgres/database.ts";
import { createRunLedger, type LedgerSettings } from "../store/work/run-ledger.ts";
import { writeActivity } from "../store/status/worker-activity.ts";
import type { Activity } from "../worker/activity.ts";
import { createWorker, type AvatarWorker } from "../worker/create-worker.ts";
import { createLeaseWatch } from "../worker/lease/watch-leases.ts";
import { startActivityReport } from "../worker/report-activity.ts";
import { createWakeTimers, type WakeTimers } from "../worker/wake-timers.ts";
import { acceptRequest } from "./accept-job.ts";
import type { Base } from "./base.ts";
import { openImageTaking, type ImageTaking } from "./image-taking.ts";
import type { Images } from "./images.ts";
import { checkTokens } from "./tokens.ts";
import { openWebhookSending } from "./tasks/webhook-sending.ts";
import { openWorkerTasks } from "./worker-tasks.ts";

/** All instances of a process share their statements: a lease is taken, all are renewed, queues are read, arrivals are looked for. */
const leaseConnections = 4;

/** Hundreds of runs may ask whether others wait. */
const othersWaitFreshMs = 200;

/** Beyond the deadline of a call, ms: until its record is saved. */
const savedWithinMs = 20_000;

/** A process saves one batch at a time. Holds and their probes are rare. */
const saveConnections = 3;

/** A receiver may take 20 s to answer. What it is asked when the worker stops comes to it again. */
const webhooksStopMs = 3_000;

/** Background tasks that are at work when the worker stops have so long. */
const tasksStopMs = 2_000;

/** A worker that takes instance runs until it is stopped. */
export interface RunningWorker {
  readonly activity: Activity;
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
  const told = metrics
    ? { ...base, events: tapEvents(tapEvents(events, metrics.images), metrics.webhooks) }
    : base;
  const images = kept && (await openImageTaking(told, kept, hosts));
  const webhooks = metrics && (await openWebhookSending(told));
  const saves = await openLedgerDatabase(base, "saves", saveConnections);
  const engine = await openEngine(base, saves, queues, metrics, images);
  const { worker, timers, greenApi, leaseTasks } = engine;
  const { activity } = worker;
  const isOurs = (id: InstanceId) => (id === simulatedInstanceId) === simulated;
  const clockwork = {
    random: Math.random,
    onError: (where: string, error: unknown) => events.ledgerFailed({ where }, error),
    stopWithinMs: tasksStopMs,
  };
  const stopLeaseTasks = startTasks(leaseTasks, clockwork);
  const consumers = await startConsumers(base, queues, worker, isOurs);
  const tasks = await openWorkerTasks(
    base,
    queues,
    { isOurs, isService: metrics !== undefined, saves },
    images,
    webhooks,
  );
  const stopTasks = startTasks(tasks, clockwork);
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
    await stopLeaseTasks();
    // Answers that were saved last are offered still.
    await Promise.all([
      images?.stop(graceMs),
      webhooks?.stop(Math.min(graceMs, webhooksStopMs)),
      greenApi.close(),
      stopReport(),
    ]);
    events.workerStopped();
  });
  closer.add("worker", stop);
  return { activity, backend: queues.backend, stop };
}

/** The parts that work on an instance when its run comes. */
interface Engine {
  readonly worker: AvatarWorker;
  readonly timers: WakeTimers;
  readonly greenApi: GreenApi;
  /** What keeps leases alive, and ends those of dead processes: to be run until the worker has stopped. */
  readonly leaseTasks: readonly BackgroundTask[];
}

/** @throws UserError `wrong-secret-key`, `no-secret-key` */
async function openEngine(
  base: Base,
  saves: Database,
  queues: Queues,
  metrics: Metrics | undefined,
  images: ImageTaking | undefined,
): Promise<Engine> {
  const { config, events } = base;
  await checkTokens(base);
  const ledger = await openRunLedger(base, saves);
  const { createGreenApi } = await import("../provider/green-api.ts");
  const greenApi = createGreenApi({ callTimeoutMs: config.callTimeoutMs });
  const owner = randomUUID();
  const waits = createSharedReads<boolean>({
    timeShare: 20,
    toFreshMs: () => othersWaitFreshMs,
    maxKeys: 1,
    now: () => performance.now(),
  });
  const timers = createWakeTimers((instanceId) => {
    if (!worker.look(instanceId)) void queues.wakeInstances([instanceId]);
  });
  const worker: AvatarWorker = createWorker({
    ledger,
    owner,
    isTransient,
    offerImages: images?.offer,
    getAvatar: greenApi.getAvatar,
    getState: greenApi.getState,
    openToken: base.secrets().open,
    wakeAfter: timers.wakeAfter,
    othersWait: async () => waits("runs", queues.runsWait),
    clock: performance,
    random: Math.random,
    settings: {
      sliceMs: config.runSliceMs,
      maxInFlight: config.maxInFlight,
      oldestShare: config.oldestShare,
      retry: config.retry,
      probe: { probeBaseMs: config.probeBaseMs, probeMaxMs: config.probeMaxMs },
      refresh: config.refresh,
    },
    events: metrics ? tapEvents(events, metrics.events) : events,
  });
  metrics?.watch(worker.activity.report);
  const { wakeInstances } = queues;
  const watch = createLeaseWatch({ ledger, owner, clock: performance, wakeInstances });
  return { worker, timers, greenApi, leaseTasks: [...worker.tasks, watch] };
}

/** Connections of the ledger's own: what runs for each batch of contacts looks its rows up by their indexes. */
async function openLedgerDatabase(
  { databaseUrl, events, closer }: Base,
  name: string,
  maxConnections: number,
): Promise<Database> {
  const database = await openDatabase({
    url: databaseUrl,
    maxConnections,
    readsByIndex: true,
    onConnectionLost: (error) => events.connectionLost(error),
  });
  closer.add(name, () => database.close());
  return database;
}

/** The ledger of instance runs, whose leases and reads have connections of their own: they never wait for those of others. */
async function openRunLedger(base: Base, saves: Database): Promise<RunLedger> {
  const { config } = base;
  const leases = await openLedgerDatabase(base, "leases", leaseConnections);
  const settings: LedgerSettings = {
    requestsPerSecond: config.requestsPerSecond,
    inFlightMs: config.callTimeoutMs + savedWithinMs,
    hashErased: createChatHash(base.secretKey(), "erased chats"),
    keepsImages: base.config.images.kind !== "off",
  };
  return createRunLedger(saves, settings, leases);
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
