import type { InstanceId } from "../domain/instance-id.ts";
import type { BackgroundTask } from "../lib/start-tasks.ts";

export interface SweepPorts {
  readonly findDueInstances: () => Promise<readonly InstanceId[]>;
  readonly wakeInstances: (ids: readonly InstanceId[]) => Promise<void>;
}

const intervalMs = 5_000;

/**
 * The task that queues a run for each instance that has due contacts. What was lost, a wake-up, a job, all of Redis, is made up for
 * here. Each process sweeps by its own timer: a tick kept in Redis would be lost with what it repairs.
 */
export function createSweep({ findDueInstances, wakeInstances }: SweepPorts): BackgroundTask {
  return {
    name: "sweep",
    everyMs: intervalMs,
    run: async () => wakeInstances(await findDueInstances()),
  };
}
