import type { Config } from "../config.ts";
import type { Actor } from "../domain/audit.ts";
import type { HostPort } from "../domain/host-port.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { once } from "../lib/closing/once.ts";
import { settleWithin } from "../lib/deadline.ts";
import type { FairLimit } from "../lib/fair-limit.ts";
import type { Queues } from "../queue/queues.ts";
import { createStatusStore, type StatusStore } from "../store/status/status-store.ts";
import { createAudit, type Audit } from "./subjects/audit.ts";
import { createApiKeys, type ApiKeys } from "./subjects/api-keys.ts";
import type { RunningApi } from "./api.ts";
import { openBase, type Base, type BaseOptions } from "./base.ts";
import { createConsoleSessions, type ConsoleSessions } from "./subjects/console-sessions.ts";
import { createContactLister, type ContactLister } from "./contact-lister.ts";
import { createInstances, type Instances } from "./subjects/instances.ts";
import { createImageFiles, type ImageFiles } from "./image-files.ts";
import { openImages, tellWhetherOff } from "./images.ts";
import { readOperator } from "./subjects/operator.ts";
import { createSignals, type Signals } from "./subjects/signals.ts";
import { createResyncs, type Resyncs } from "./subjects/resyncs.ts";
import { createWebhooks, type Webhooks } from "./subjects/webhooks.ts";
import { createBatches, type Batches } from "./subjects/batches.ts";
import type { Door } from "./subjects/door.ts";
import type * as simulator from "../simulator/start-simulator.ts";
import type { RunningWorker } from "./start-worker.ts";

export type { RunningWorker } from "./start-worker.ts";

export type { IntakeRecord } from "../intake/records/intake-record.ts";
export { openSource } from "../intake/bytes/open-source.ts";
export { readContactList } from "../intake/read-contact-list.ts";
export { readContacts } from "../intake/read-contacts.ts";
export type { ContactColumns } from "../intake/reader-options.ts";
export { readSource } from "./read-source.ts";
export { encodeGallery } from "../results/gallery/encode-gallery.ts";
export { encodeCards, type CardFate } from "../results/vcard/encode-cards.ts";
export { encodeResults, type ResultFormat } from "../results/encode-results.ts";

/** An import does not try a queue that is away again for every chunk. */
const queueRetryMs = 60_000;
/** A person waits for the command, which would be done without a queue. */
const wakeDeadlineMs = 3_000;

/** The product without a face: all that the commands do, they do through this. */
export interface App extends StatusStore {
  readonly config: Config;
  /** The person at the command line, for the audit log. */
  readonly operator: Actor;
  readonly instances: Instances;
  readonly batches: Batches;
  readonly apiKeys: ApiKeys;
  readonly consoleSessions: Pick<ConsoleSessions, "offerLink">;
  readonly resyncs: Resyncs;
  readonly audit: Audit;
  readonly signals: Pick<Signals, "renewSecret" | "removeSecret">;
  readonly webhooks: Webhooks;
  readonly images: ImageFiles;
  /** The contacts that GREEN-API lists for an instance, as it wrote them. @throws UserError */
  readonly listContacts: ContactLister;
  /**
   * Starts working: instance runs, requests from the queue, the sweep.
   * @param options.isService it runs for good: it counts what it does, serves metrics where METRICS_PORT is set, and resyncs
   * @param options.imageHosts hosts that images may be taken from, beside those of the settings
   */
  startWorker(options?: {
    readonly isService?: boolean;
    readonly imageHosts?: readonly HostPort[];
  }): Promise<RunningWorker>;
  /**
   * Serves the HTTP API on HOST and PORT.
   * @throws UserError `api-unavailable` where it cannot listen
   */
  serveApi(): Promise<RunningApi>;
  /** A resource of the caller's that must be closed before the database. */
  onClose(name: string, close: () => Promise<void>): void;
  /** Closes everything, last opened first. Twice is harmless. */
  close(): Promise<void>;
}

/**
 * Opens the database (the embedded one where DATABASE_URL is not set) and wires the stages.
 * @throws UserError
 */
export async function openApp(config: Config, options: BaseOptions): Promise<App> {
  const base = await openBase(config, options);
  const { database, closer } = base;
  const getQueues = createQueueOpener(base);
  const wake = createWake(getQueues);
  const getMetrics = once(async () => (await import("./metrics.ts")).openMetrics(base));
  const getImages = once(() => openImages(base));
  const door: Door = {
    config,
    quick: database,
    lasting: database,
    writes: unlimited,
    passes: unlimited,
    wake: async (id) => void (await settleWithin(wake(id), wakeDeadlineMs)),
    getQueues,
    secrets: base.secrets,
    secretKey: base.secretKey,
    events: base.events,
  };

  return {
    config,
    operator: readOperator(),
    ...createStatusStore(database, config.requestsPerSecond),
    apiKeys: createApiKeys(door),
    consoleSessions: createConsoleSessions(door),
    batches: createBatches(door),
    instances: createInstances(door),
    resyncs: createResyncs(door),
    audit: createAudit(door),
    signals: createSignals(door),
    webhooks: createWebhooks(door),
    images: createImageFiles(getImages, database),
    listContacts: createContactLister(base),
    async startWorker({ isService = false, imageHosts: hosts = [] } = {}) {
      const { startWorker } = await import("./start-worker.ts");
      const watching = isService ? await getMetrics() : undefined;
      if (watching) await (await import("./metrics.ts")).serveMetricsPort(base, watching);
      const worker = await startWorker(base, await getQueues(), watching, { kept: await getImages(), hosts });
      if (isService) tellWhetherOff(base);
      return worker;
    },
    async serveApi() {
      const { openApi } = await import("./api.ts");
      return openApi(base, {
        wake: (id) => void wake(id),
        getQueues,
        metrics: await getMetrics(),
        images: await getImages(),
      });
    },
    onClose: closer.add,
    close: closer.close,
  };
}

/** GREEN-API as documented, as a server of its own: see simulator/start-simulator.ts. */
export async function startSimulator(...args: Parameters<StartSimulator>): ReturnType<StartSimulator> {
  const { startSimulator: start } = await import("../simulator/start-simulator.ts");
  return start(...args);
}
type StartSimulator = typeof simulator.startSimulator;

/** A command works for one person. */
const unlimited: FairLimit = { run: (_key, work) => work() };

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
 * Opens the queues when they are first needed. Most commands need none, and are not to wait until BullMQ is loaded. The API,
 * the worker, the metrics, the simulator and the calls of GREEN-API are loaded late, too: they take more than half of the
 * time of a short command.
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
