import type { InstanceId } from "../domain/instance-id.ts";
import { historySpanMs } from "../domain/views/instance-overview.ts";
import type { ApiPorts } from "../http/create-api.ts";
import { parseContactId } from "../intake/ids/contact-id.ts";
import { settleWithin } from "../lib/deadline.ts";
import { createFairLimit } from "../lib/fair-limit.ts";
import { startEvery } from "../lib/start-every.ts";
import { readSignal } from "../provider/read-signal.ts";
import { encodeResults } from "../results/encode-results.ts";
import { deleteOldRecords } from "../store/accept/idempotency-records.ts";
import { createChangeStore } from "../store/changes/change-store.ts";
import type { Metrics } from "../metrics/create-metrics.ts";
import { isTransient, openDatabase, type Database } from "../store/postgres/database.ts";
import { createApiKeys } from "./subjects/api-keys.ts";
import { createAudit } from "./subjects/audit.ts";
import type { Base } from "./base.ts";
import { createBatches } from "./subjects/batches.ts";
import { createConsoleSessions, type ConsoleSessions } from "./subjects/console-sessions.ts";
import { createContacts } from "./subjects/contacts.ts";
import type { Door } from "./subjects/door.ts";
import { createInstances } from "./subjects/instances.ts";
import type { Images } from "./images.ts";
import { createOverview, type Overview } from "./subjects/overview.ts";
import { readConsoleFiles } from "../http/routes/console/read-console-files.ts";
import { findMissing, isQueueReachable } from "./readiness.ts";
import { serveImages } from "./serve-images.ts";
import { createSignals } from "./subjects/signals.ts";
import { createResyncs } from "./subjects/resyncs.ts";
import { createWebhooks } from "./subjects/webhooks.ts";

/**
 * A caller waits for these, and is told to come again where they take longer. Locks of other programs are waited for briefly
 * (brief-locks.ts).
 */
const quickly = { connections: 10, connectMs: 3_000, statementMs: 10_000, lockMs: 10_000 };
/** Streams, downloads, and passes through a batch step by step. */
const lastingly = { connections: 20, connectMs: 10_000, statementMs: 30_000, lockMs: 1_000 };
/**
 * Writes to contacts may have to wait for another transaction. Those of one instance take few of the connections, and all
 * together leave some.
 */
const writing = { perKey: 3, all: quickly.connections - 2, mostWaiting: 60, waitMs: quickly.connectMs };
/** Passes through a batch, bounded for the same reason. */
const passing = { perKey: 2, all: 8, mostWaiting: 20, waitMs: lastingly.connectMs };
/** Requests that wait for a connection: one more would wait longer than {@link quickly} allows. */
const maxWaiting = 200;
const cleaningIntervalMs = 3_600_000;

/** The parts of the process that the API reaches. */
export interface ApiLinks extends Pick<Door, "getQueues"> {
  /** Returns at once: the contacts are in Postgres. */
  readonly wake: (id: InstanceId) => void;
  readonly metrics: Metrics;
  /** Undefined: images are off. */
  readonly images: Images | undefined;
}

/**
 * Connects the API to the ledger, with connections of its own: a request does not wait for imports.
 * @throws UserError `no-secret-key`
 */
export async function openApiPorts(base: Base, links: ApiLinks): Promise<ApiPorts> {
  const door = await openDoor(base, links);
  const sessions = createConsoleSessions(door);
  const overview = createOverview(door);
  startCleaning(base, door.lasting, sessions);
  startSampling(base, overview);
  return {
    keys: createApiKeys(door),
    sessions,
    overview,
    isQueueReachable: () => isQueueReachable(door),
    mayReveal: base.config.api.consoleReveal === "on",
    consoleFiles: readConsoleFiles(),
    batches: createBatches(door),
    contacts: createContacts(door),
    changes: createChangeStore(door.quick),
    instances: createInstances(door),
    resyncs: createResyncs(door),
    audit: createAudit(door),
    signals: createSignals(door),
    readSignal,
    countSignal: links.metrics.signals.signalTaken,
    toPublicUrl: (path) => base.config.publicUrl && `${base.config.publicUrl}${path}`,
    webhooks: createWebhooks(door),
    findMissing: () => findMissing(door),
    scrape: links.metrics.scrape,
    isTransient,
    isOverloaded: () => door.quick.pool.waitingCount > maxWaiting,
    images: links.images && serveImages(door.quick, links.images, base.events),
    parseContactId: (text) => parseContactId(text, undefined),
    formatResults: encodeResults,
  };
}

async function openDoor(base: Base, { wake, getQueues }: ApiLinks): Promise<Door> {
  const open = async (name: string, { connections, ...deadlines }: typeof quickly) => {
    const database = await openDatabase({
      url: base.databaseUrl,
      maxConnections: connections,
      deadlines,
      onConnectionLost: (error) => base.events.connectionLost(error),
    });
    base.closer.add(name, () => database.close());
    return database;
  };
  return {
    quick: await open("API", quickly),
    lasting: await open("API streams", lastingly),
    writes: createFairLimit(writing),
    passes: createFairLimit(passing),
    wake: async (id) => wake(id),
    getQueues,
    config: base.config,
    secrets: base.secrets,
    secretKey: base.secretKey,
    events: base.events,
  };
}

function startCleaning(
  { events, closer }: Base,
  { pool }: Database,
  sessions: Pick<ConsoleSessions, "removeOld">,
): void {
  const stop = startEvery({
    run: async () => Promise.all([deleteOldRecords(pool), sessions.removeOld()]),
    intervalMs: cleaningIntervalMs,
    random: Math.random,
    onError: (error) => events.ledgerFailed({ where: "forget idempotency keys and sessions" }, error),
  });
  closer.add("cleaning", () => settleWithin(stop(), 2_000));
}

/** The histories of the overview: while Postgres is away they have a gap. */
function startSampling({ closer }: Base, overview: Overview): void {
  const stop = startEvery({
    run: () => overview.sample(),
    intervalMs: historySpanMs,
    random: () => 0.5,
    onError: () => undefined,
  });
  closer.add("sampling", () => settleWithin(stop(), 2_000));
}
