// What one writes with BullMQ alone: a Worker with its `limiter`, and a call for each job. A program of its own:
//   node bullmq-limiter-worker.js '{"redisUrl":…,"queueName":…,"limiter":{"max":10,"duration":1000},"apiUrl":…}'
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import { Pool } from "undici";

export interface LimiterWorkerOptions {
  readonly redisUrl: string;
  readonly queueName: string;
  readonly limiter: { readonly max: number; readonly duration: number };
  readonly apiUrl: string;
  readonly instanceId: string;
  readonly concurrency: number;
}

export interface LookupJob {
  readonly chatId: string;
}

const options = JSON.parse(process.argv[2] ?? "{}") as LimiterWorkerOptions;
const pool = new Pool(options.apiUrl, { connections: options.concurrency });

/** A refused call is not repeated: it is counted by who refused it. */
async function lookUp({ chatId }: LookupJob): Promise<number> {
  const { statusCode, body } = await pool.request({
    method: "POST",
    path: `/waInstance${options.instanceId}/getAvatar/token`,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ chatId }),
  });
  await body.dump();
  return statusCode;
}

const worker = new Worker<LookupJob, number>(options.queueName, (job) => lookUp(job.data), {
  connection: new Redis(options.redisUrl, { maxRetriesPerRequest: null }),
  concurrency: options.concurrency,
  limiter: options.limiter,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
});
worker.on("error", (error) => console.error(error.message));
