import { createPostgresBackend, Queue, withBackend } from "bullmq";
import { Redis } from "ioredis";

export interface QueueClient {
  readonly queue: Queue;
  close(): Promise<void>;
}

/** A BullMQ client as a producer of its own would have it, on the queue's backend of these settings. */
export function openQueueClient(env: Readonly<Record<string, string>>, name: string): QueueClient {
  const redisUrl = env["REDIS_URL"];
  if (redisUrl !== undefined) {
    const connection = new Redis(redisUrl);
    const queue = new Queue(name, { connection });
    return {
      queue,
      async close() {
        await queue.close();
        connection.disconnect();
      },
    };
  }
  const connection = { connectionString: env["DATABASE_URL"] ?? "", schema: "bullmq", max: 2 };
  const { Queue: PostgresQueue } = withBackend(createPostgresBackend);
  const queue = new PostgresQueue(name, { connection }) as unknown as Queue;
  return { queue, close: () => queue.close() };
}
