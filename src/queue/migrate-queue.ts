import { createPostgresBackend, withBackend } from "bullmq";
import { UserError } from "../lib/errors.ts";
import { toConnection } from "../lib/postgres-url.ts";
import { bullmqSchema } from "./names.ts";
import { toQueueCode } from "./to-queue-code.ts";

/**
 * For another process that creates the same tables, which is quick. Any role may take BullMQ's lock for that, and must not hold
 * up the start for ever.
 */
const migrateLockMs = 60_000;

/**
 * Creates BullMQ's tables in the schema `bullmq`; BullMQ serializes concurrent callers itself.
 * @throws UserError `migration-failed`
 */
export async function migrateQueue(databaseUrl: string): Promise<void> {
  const { Queue } = withBackend(createPostgresBackend);
  const connection = {
    ...toConnection(databaseUrl, `-c lock_timeout=${migrateLockMs}`),
    schema: bullmqSchema,
    max: 1,
    migrate: true,
  };
  const queue = new Queue("migrate", { connection, skipMetasUpdate: true });
  queue.on("error", () => undefined);
  try {
    await queue.waitUntilReady();
  } catch (cause) {
    throw new UserError("migration-failed", `the queue's tables cannot be created (${toQueueCode(cause)})`, {
      cause,
    });
  } finally {
    await queue.close();
  }
}
