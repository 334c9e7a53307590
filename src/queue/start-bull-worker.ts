import { settleWithin } from "../lib/deadline.ts";
import type { BullWorker } from "./backend.ts";
import { closeDeadlineMs } from "./deadlines.ts";
import { readyOrThrow } from "./ready-or-throw.ts";

/**
 * Starts taking jobs, once the connection stands. A BullMQ worker whose first connection is refused would try again without end
 * or pause.
 * @param worker made with `autorun: false`; closed where it does not get ready
 * @throws UserError `queue-unreachable`, `queue-not-migrated`
 */
export async function startBullWorker<Data, Result>(
  worker: BullWorker<Data, Result>,
  server: string,
  report: (error: unknown) => void,
): Promise<BullWorker<Data, Result>> {
  worker.on("error", report);
  try {
    await readyOrThrow(worker, server);
  } catch (error) {
    await settleWithin(worker.close(), closeDeadlineMs).catch(report);
    throw error;
  }
  worker.run().catch(report);
  return worker;
}
