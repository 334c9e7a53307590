import type { InstanceActivity } from "../domain/instance-activity.ts";
import { settleWithin, sleep } from "../lib/deadline.ts";
import { createRateGate } from "../lib/rate-gate.ts";

export interface ActivityReportPorts {
  readonly report: () => readonly InstanceActivity[];
  /** Replaces what this process has reported before. */
  readonly write: (activity: readonly InstanceActivity[]) => Promise<void>;
  /** At most once a minute. */
  readonly onError: (error: unknown) => void;
}

const intervalMs = 2_000;
const errorReportIntervalMs = 60_000;
const lastWriteMs = 2_000;

/**
 * Writes every 2 s what this process does for each instance, for people and metrics to read; nothing while it does
 * nothing. Returns a function that takes it back and stops. A failure harms nothing but what is shown.
 */
export function startActivityReport({ report, write, onError }: ActivityReportPorts): () => Promise<void> {
  const stopping = new AbortController();
  const mayReportError = createRateGate(errorReportIntervalMs);
  const tellError = (error: unknown) => {
    if (mayReportError()) onError(error);
  };
  let written = 0;
  const reporting = (async () => {
    while (!stopping.signal.aborted) {
      const activity = report();
      try {
        if (activity.length > 0 || written > 0) await write(activity);
        written = activity.length;
      } catch (error) {
        // Perhaps it is there all the same.
        written = 1;
        tellError(error);
      }
      await sleep(intervalMs, stopping.signal);
    }
  })();
  const stop = async () => {
    stopping.abort();
    await reporting;
    if (written > 0) await write([]);
  };
  return async () => {
    await settleWithin(stop(), lastWriteMs).catch(tellError);
  };
}
