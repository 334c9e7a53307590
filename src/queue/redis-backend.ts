import { Queue, Worker, type Processor } from "bullmq";
import { Redis } from "ioredis";
import type { Closer } from "../lib/closing/closer.ts";
import { UserError } from "../lib/errors.ts";
import { settleWithin } from "../lib/deadline.ts";
import type { BullWorkerOptions, ChosenBackend, Report } from "./backend.ts";
import { connectDeadlineMs } from "./deadlines.ts";
import { readyOrThrow } from "./ready-or-throw.ts";
import { startBullWorker } from "./start-bull-worker.ts";

export interface RedisOptions {
  readonly url: string;
  /** BullMQ's own where it is undefined. */
  readonly prefix: string | undefined;
}

/** Producers fail fast: they must neither queue up offline nor wait for a Redis that is away. */
const producing = { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 1_000 };
/**
 * Workers wait for Redis as long as it takes. The socket timeout finds half-open connections, which are silent for over 75 s
 * otherwise. A command timeout would keep a worker from recovering.
 */
const consuming = { maxRetriesPerRequest: null, socketTimeout: 15_000 };

/**
 * Connects to Redis.
 * @param closer takes what is opened
 * @throws UserError `queue-unreachable`
 */
export async function openRedisBackend(
  { url, ...options }: RedisOptions,
  report: Report,
  closer: Closer,
): Promise<ChosenBackend> {
  const prefix = options.prefix === undefined ? {} : { prefix: options.prefix };
  const connect = (behaviour: object) => {
    const client = new Redis(url, { ...behaviour, connectTimeout: 5_000, keepAlive: 10_000 });
    client.on("error", report("redis"));
    closer.add("connection", () => client.disconnect());
    return client;
  };
  const producer = connect(producing);
  await waitForRedis(producer);

  return {
    kind: "redis",
    async openProducer(queueName, { isOurs } = { isOurs: true }) {
      const queue = new Queue(queueName, {
        connection: producer,
        skipMetasUpdate: !isOurs,
        // The event stream of a queue grows to 687 KB otherwise.
        ...(isOurs && { streams: { events: { maxLen: 100 } } }),
        ...prefix,
      });
      queue.on("error", report(queueName));
      closer.add(queueName, () => queue.close());
      await readyOrThrow(queue, "Redis");
      return queue;
    },
    async startWorker<Data, Result>(
      queueName: string,
      process: Processor<Data, Result>,
      workerOptions: BullWorkerOptions,
    ) {
      const connection = connect(consuming);
      const settings = { ...workerOptions, autorun: false, ...prefix, connection };
      const worker = new Worker<Data, Result>(queueName, process, settings);
      return startBullWorker<Data, Result>(worker, "Redis", report(queueName));
    },
    forgetEvents: async (queue, text) => forgetEvents(producer, queue.toKey("events"), text),
  };
}

const eventsPerPage = 500;

async function forgetEvents(client: Redis, key: string, text: string): Promise<void> {
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
