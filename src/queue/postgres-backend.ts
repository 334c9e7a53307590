import { createPostgresBackend as createFactory, withBackend, type Processor } from "bullmq";
import type { Closer } from "../lib/closing/closer.ts";
import { toConnection } from "../lib/postgres-url.ts";
import type { BullWorkerOptions, ChosenBackend, Report } from "./backend.ts";
import { connectDeadlineMs } from "./deadlines.ts";
import { bullmqSchema } from "./names.ts";
import { GuardedClient } from "./guarded-client.ts";
import { readyOrThrow } from "./ready-or-throw.ts";
import { startBullWorker } from "./start-bull-worker.ts";

/**
 * BullMQ in Postgres. Connects when the first queue is opened.
 * @param closer takes what is opened
 */
export function createPostgresBackend(databaseUrl: string, report: Report, closer: Closer): ChosenBackend {
  const { Queue, Worker } = withBackend(createFactory);
  // Each queue and worker has its own pool: a shared one that is too small hangs without a word.
  const connection = {
    ...toConnection(databaseUrl, ""),
    schema: bullmqSchema,
    max: 3,
    keepAlive: true,
    Client: GuardedClient,
  };
  return {
    kind: "postgres",
    async openProducer(queueName, { isOurs } = { isOurs: true }) {
      const queue = new Queue(queueName, { connection, skipMetasUpdate: !isOurs });
      queue.on("error", report(queueName));
      closer.add(queueName, () => queue.close());
      await readyOrThrow(queue, "Postgres");
      return queue;
    },
    async startWorker<Data, Result>(
      queueName: string,
      process: Processor<Data, Result>,
      options: BullWorkerOptions,
    ) {
      const worker = new Worker<Data, Result>(queueName, process, { ...options, autorun: false, connection });
      return startBullWorker<Data, Result>(worker, "Postgres", report(queueName));
    },
    // BullMQ cannot trim them here.
    forgetEvents: async (queue, text) => forgetEvents(databaseUrl, queue.name, text),
  };
}

async function forgetEvents(databaseUrl: string, queueName: string, text: string): Promise<void> {
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
