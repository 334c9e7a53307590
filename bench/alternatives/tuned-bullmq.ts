// BullMQ, tuned well: a job for each contact, many at a time, commands pipelined, answers written by the batch.
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";
import { Pool } from "undici";
import { readAlternativeOptions, type LookupJob } from "./alternative-options.ts";
import { createBatchedUpsert } from "./batched-upsert.ts";
import { connections, lookUp } from "./look-up.ts";

const { databaseUrl, redisUrl, apiUrl, queueName } = readAlternativeOptions();
/** More than connections: jobs wait for their batch, too. */
const concurrency = 300;

const database = new pg.Pool({ connectionString: databaseUrl, max: 4 });
const provider = new Pool(apiUrl, { connections });
const { save } = createBatchedUpsert(database, { mostRows: 100, lingerMs: 10 });

const worker = new Worker<LookupJob, undefined>(
  queueName,
  async (job) => {
    await save(await lookUp(provider, job.data.chatId));
    return undefined;
  },
  {
    connection: new Redis(redisUrl, { maxRetriesPerRequest: null, enableAutoPipelining: true }),
    concurrency,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 1000 },
    maxStalledCount: 10,
  },
);
worker.on("error", (error) => console.error(error.message));
