import {
  createPostgresBackend,
  Queue,
  withBackend,
  Worker,
  type Processor,
  type WorkerOptions,
} from "bullmq";
import { Redis } from "ioredis";
import { UserError } from "../lib/errors.ts";
import { settleWithin } from "../lib/deadline.ts";
import { toConnection } from "../lib/postgres-url.ts";
import { createRateGate } from "../lib/rate-gate.ts";
import { GuardedClient } from "./guarded-client.ts";
import type { QueueEvents } from "./queue-events.ts";

export interface BackendOptions {
  /** Used when there is no Redis: BullMQ's PostgreSQL backend in the schema `bullmq`. */
  readonly databaseUrl: string;
  readonly redisUrl: string | undefined;
  /** Separates several installations on one Redis. */
  readonly prefix?: string | undefined;
}

type ChosenBackend = Pick<Backend, "kind" | "openProducer" | "startWorker" | "forgetEvents">;
type ConsumerOptions = Omit<WorkerOptions, "connection" | "prefix">;

/** The one place that knows which backend BullMQ runs on. */
export interface Backend {
  readonly kind: "postgres" | "redis";
  /** @param options.isOurs others add to it too, and its settings in the backend stay as they are: false */
  openProducer(queueName: string, options?: { readonly isOurs: boolean }): Promise<Queue>;
  startWorker<Data, Result>(
    queueName: string,
    process: Processor<Data, Result>,
    options: ConsumerOptions,
  ): Promise<Worker<Data, Result>>;
  /** Takes the events of a queue away that have the text in them: results, reasons and ids of jobs are told there. */
  forgetEvents(queue: Queue, text: string): Promise<void>;
  /** Runs one producing call with a deadline, and swallows its failure after reporting it. True: it worked. */
  attempt(what: string, call: () => Promise<unknown>): Promise<boolean>;
  close(): Promise<void>;
}

/** BullMQ's PostgreSQL schema. */
const bullmqSchema = "bullmq";

/** An add that takes longer is left to the sweep; it usually still lands, and it is idempotent. */
const addDeadlineMs = 2_000;
const closeDeadlineMs = 3_000;
const connectDeadlineMs = 10_000;
/** A Redis without memory or disk makes a worker emit thousands of errors a second. */
const errorReportIntervalMs = 10_000;

/**
 * Chooses the backend and makes sure that it answers.
 * @throws UserError `queue-unreachable`, `queue-not-migrated`
 */
export async function openBackend(options: BackendOptions, events: QueueEvents): Promise<Backend> {
  const mayReport = createRateGate(errorReportIntervalMs);
  const report = (where: string) => (error: unknown) => {
    if (mayReport()) events.queueFailed({ where, code: toCode(error) });
  };
  const closers: (() => Promise<unknown>)[] = [];
  const backend = options.redisUrl === undefined ? createOnPostgres() : await createOnRedis(options.redisUrl);

  return {
    ...backend,
    async attempt(what, call) {
      try {
        // An add during close never settles, and a client built while Redis is down hangs: hence the deadline.
        return (await settleWithin(call(), addDeadlineMs))
          ? true
          : (report(what)({ code: "DEADLINE" }), false);
      } catch (error) {
        report(what)(error);
        return false;
      }
    },
    async close() {
      for (const close of closers.splice(0).toReversed()) {
        await settleWithin(close(), closeDeadlineMs).catch(report("close"));
      }
    },
  };

  function createOnPostgres(): ChosenBackend {
    const onPostgres = withBackend(createPostgresBackend);
    // A pool of its own for each queue and worker: a shared one that is too small hangs without a word.
    const connection = {
      ...toConnection(options.databaseUrl, ""),
      schema: bullmqSchema,
      max: 3,
      keepAlive: true,
      Client: GuardedClient,
    };
    return {
      kind: "postgres",
      async openProducer(queueName, { isOurs } = { isOurs: true }) {
        const queue = new onPostgres.Queue(queueName, { connection, skipMetasUpdate: !isOurs });
        queue.on("error", report(queueName));
        closers.push(() => queue.close());
        await readyOrThrow(queue, "Postgres");
        return queue as unknown as Queue;
      },
      async startWorker<Data, Result>(
        queueName: string,
        process: Processor<Data, Result>,
        workerOptions: ConsumerOptions,
      ) {
        const worker = new onPostgres.Worker<Data, Result>(queueName, process, {
          ...workerOptions,
          autorun: false,
          connection,
        });
        worker.on("error", report(queueName));
        return runWorker(worker as unknown as Worker<Data, Result>, "Postgres", report(queueName));
      },
      // BullMQ cannot trim them here.
      forgetEvents: async (queue, text) => forgetPostgresEvents(options.databaseUrl, queue.name, text),
    };
  }

  async function createOnRedis(url: string): Promise<ChosenBackend> {
    const prefix = options.prefix === undefined ? {} : { prefix: options.prefix };
    // Producers fail fast: they must neither queue up offline nor wait for a Redis that is away.
    const producing = connect(url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      commandTimeout: 1_000,
    });
    // Workers wait for Redis as long as it takes. The socket timeout finds half-open connections, silent for
    // over 75 s otherwise; a command timeout would keep a worker from recovering.
    const consuming = () => connect(url, { maxRetriesPerRequest: null, socketTimeout: 15_000 });
    await waitForRedis(producing);
    return {
      kind: "redis",
      async openProducer(queueName, { isOurs } = { isOurs: true }) {
        const queue = new Queue(queueName, {
          connection: producing,
          skipMetasUpdate: !isOurs,
          // The event stream of a queue grows to 687 KB otherwise.
          ...(isOurs && { streams: { events: { maxLen: 100 } } }),
          ...prefix,
        });
        queue.on("error", report(queueName));
        closers.push(() => queue.close());
        await readyOrThrow(queue, "Redis");
        return queue;
      },
      async startWorker<Data, Result>(
        queueName: string,
        process: Processor<Data, Result>,
        workerOptions: ConsumerOptions,
      ) {
        const connection = consuming();
        const worker = new Worker<Data, Result>(queueName, process, {
          ...workerOptions,
          autorun: false,
          ...prefix,
          connection,
        });
        worker.on("error", report(queueName));
        return runWorker(worker, "Redis", report(queueName));
      },
      forgetEvents: async (queue, text) => forgetRedisEvents(producing, queue.toKey("events"), text),
    };
  }

  function connect(url: string, redisOptions: object): Redis {
    const client = new Redis(url, { ...redisOptions, connectTimeout: 5_000, keepAlive: 10_000 });
    client.on("error", report("redis"));
    closers.push(async () => client.disconnect());
    return client;
  }
}

async function forgetPostgresEvents(databaseUrl: string, queueName: string, text: string): Promise<void> {
  const client = new GuardedClient({
    ...toConnection(databaseUrl, "-c search_path=pg_catalog,pg_temp"),
    connectionTimeoutMillis: connectDeadlineMs,
    statement_timeout: connectDeadlineMs,
  });
  try {
    await client.connect();
    await client.query(
      `delete from ${bullmqSchema}.event where queue = $1 and position($2 in data::text) > 0`,
      [queueName, text],
    );
  } finally {
    await client.end();
  }
}

const eventsPerPage = 500;

async function forgetRedisEvents(client: Redis, key: string, text: string): Promise<void> {
  for (let from = "-"; ;) {
    const page = await client.xrange(key, from, "+", "COUNT", eventsPerPage);
    const named = page.filter(([, fields]) => fields.some((field) => field.includes(text)));
    if (named.length > 0) await client.xdel(key, ...named.map(([id]) => id));
    if (page.length < eventsPerPage) return;
    from = `(${page.at(-1)?.[0] ?? ""}`;
  }
}

async function waitForRedis(client: Redis): Promise<void> {
  if (client.status === "ready") return;
  const ready = new Promise<void>((resolve) => client.once("ready", resolve));
  if (await settleWithin(ready, connectDeadlineMs)) return;
  client.disconnect();
  throw new UserError(
    "queue-unreachable",
    "cannot connect to Redis: check REDIS_URL and that the server runs, or unset it to queue in Postgres",
    { retryable: true },
  );
}

async function readyOrThrow(queue: { waitUntilReady(): Promise<unknown> }, server: string): Promise<void> {
  try {
    if (await settleWithin(queue.waitUntilReady(), connectDeadlineMs)) return;
  } catch (cause) {
    if (cause instanceof Error && /is not initialized/.test(cause.message)) {
      throw new UserError("queue-not-migrated", "the queue's tables are missing: run avatars migrate first", {
        cause,
      });
    }
    throw new UserError("queue-unreachable", `the queue in ${server} cannot be opened (${toCode(cause)})`, {
      cause,
    });
  }
  throw new UserError("queue-unreachable", `the queue in ${server} does not answer`, { retryable: true });
}

/**
 * Starts taking jobs, once the connection stands: a BullMQ worker whose first connection is refused would try again
 * without end and without a pause.
 */
async function runWorker<Data, Result>(
  worker: Worker<Data, Result>,
  server: string,
  report: (error: unknown) => void,
): Promise<Worker<Data, Result>> {
  try {
    await readyOrThrow(worker, server);
  } catch (error) {
    await settleWithin(worker.close(), closeDeadlineMs).catch(report);
    throw error;
  }
  worker.run().catch(report);
  return worker;
}

/**
 * For another process that creates the same tables, which is quick. BullMQ's lock for that is one that any role may take: who holds it
 * must not hold up the start for ever.
 */
const migrateLockMs = 60_000;

/**
 * Creates BullMQ's tables in the schema `bullmq`; BullMQ serializes concurrent callers itself.
 * @throws UserError `migration-failed`
 */
export async function migrateQueue(databaseUrl: string): Promise<void> {
  const { Queue: PostgresQueue } = withBackend(createPostgresBackend);
  const connection = {
    ...toConnection(databaseUrl, `-c lock_timeout=${migrateLockMs}`),
    schema: bullmqSchema,
    max: 1,
    migrate: true,
  };
  const queue = new PostgresQueue("migrate", { connection, skipMetasUpdate: true });
  queue.on("error", () => undefined);
  try {
    await queue.waitUntilReady();
  } catch (cause) {
    throw new UserError("migration-failed", `the queue's tables cannot be created (${toCode(cause)})`, {
      cause,
    });
  } finally {
    await queue.close();
  }
}

function toCode(error: unknown): string {
  if (typeof error !== "object" || error === null) return "UNKNOWN";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.name : "UNKNOWN";
}
