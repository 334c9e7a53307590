import { createCloser } from "../lib/closing/closer.ts";
import { settleWithin } from "../lib/deadline.ts";
import { createRateGate } from "../lib/rate-gate.ts";
import type { Backend, BackendOptions, Report } from "./backend.ts";
import { closeDeadlineMs } from "./deadlines.ts";
import { createPostgresBackend } from "./postgres-backend.ts";
import type { QueueEvents } from "./queue-events.ts";
import { openRedisBackend } from "./redis-backend.ts";
import { toQueueCode } from "./to-queue-code.ts";

/** An add that takes longer is left to the sweep; it usually still lands, and it is idempotent. */
const addDeadlineMs = 2_000;
/** A Redis without memory or disk makes a worker emit thousands of errors a second. */
const errorReportIntervalMs = 10_000;

/**
 * Chooses the backend, the one place where that is done, and makes sure that it answers.
 * @throws UserError `queue-unreachable`
 */
export async function openBackend(options: BackendOptions, events: QueueEvents): Promise<Backend> {
  const { databaseUrl, redisUrl, prefix } = options;
  const mayReport = createRateGate(errorReportIntervalMs);
  const report: Report = (where) => (error) => {
    if (mayReport()) events.queueFailed({ where, code: toQueueCode(error) });
  };
  // A close that is late says nothing: the process ends, and its server's silence has been reported.
  const closer = createCloser((_name, error) => report("close")(error), {
    deadlineMs: closeDeadlineMs,
    onLate: () => undefined,
  });
  const chosen =
    redisUrl === undefined
      ? createPostgresBackend(databaseUrl, report, closer)
      : await openRedisBackend({ url: redisUrl, prefix }, report, closer);

  return {
    ...chosen,
    async attempt(what, call) {
      try {
        // An add during close never settles, and a client built while Redis is down hangs: hence the deadline.
        if (await settleWithin(call(), addDeadlineMs)) return true;
        report(what)({ code: "DEADLINE" });
      } catch (error) {
        report(what)(error);
      }
      return false;
    },
    close: () => closer.close(),
  };
}
