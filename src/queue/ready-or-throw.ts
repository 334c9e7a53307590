import { UserError } from "../lib/errors.ts";
import { settleWithin } from "../lib/deadline.ts";
import { connectDeadlineMs } from "./deadlines.ts";
import { toQueueCode } from "./to-queue-code.ts";

/**
 * Waits until a queue or a worker of BullMQ is connected.
 * @param server named in the error: `Postgres` or `Redis`
 * @throws UserError `queue-unreachable`, `queue-not-migrated`
 */
export async function readyOrThrow(
  bull: { waitUntilReady(): Promise<unknown> },
  server: string,
): Promise<void> {
  try {
    if (await settleWithin(bull.waitUntilReady(), connectDeadlineMs)) return;
  } catch (cause) {
    if (cause instanceof Error && /is not initialized/.test(cause.message)) {
      throw new UserError("queue-not-migrated", "the queue's tables are missing: run avatars migrate first", {
        cause,
      });
    }
    throw new UserError(
      "queue-unreachable",
      `the queue in ${server} cannot be opened (${toQueueCode(cause)})`,
      { cause },
    );
  }
  throw new UserError("queue-unreachable", `the queue in ${server} does not answer`, { retryable: true });
}
