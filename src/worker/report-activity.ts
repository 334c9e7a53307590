import type { InstanceActivity } from "../domain/views/instance-activity.ts";
import { settleWithin } from "../lib/deadline.ts";
import { createRateGate } from "../lib/rate-gate.ts";
import { startEvery } from "../lib/start-every.ts";

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
  const mayReportError = createRateGate(errorReportIntervalMs);
  const tellError = (error: unknown) => {
    if (mayReportError()) onError(error);
  };
  let written = 0;
  const stopReporting = startEvery({
    intervalMs,
    random: () => 0.5,
    onError: tellError,
    async run() {
      const activity = report();
      if (activity.length === 0 && written === 0) return;
      // If it fails, perhaps it is there all the same.
      written = Math.max(1, activity.length);
      await write(activity);
      written = activity.length;
    },
  });
  const stop = async () => {
    await stopReporting();
    if (written > 0) await write([]);
  };
  return async () => {
    await settleWithin(stop(), lastWriteMs).catch(tellError);
  };
}
