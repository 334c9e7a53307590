import type { InstanceId } from "../domain/instance-id.ts";
import { startEvery } from "../lib/start-every.ts";

export interface SweepPorts {
  readonly findDueInstances: () => Promise<readonly InstanceId[]>;
  readonly wakeInstances: (ids: readonly InstanceId[]) => Promise<void>;
  readonly random: () => number;
  readonly onError: (error: unknown) => void;
}

const intervalMs = 5_000;

/**
 * Queues a run for each instance that has due contacts. What was lost, a wake-up, a job, all of Redis, is made
 * up for here. Each process sweeps by its own timer: a tick kept in Redis would be lost with what it repairs.
 * Returns a function that stops it.
 */
export function startSweep({
  findDueInstances,
  wakeInstances,
  random,
  onError,
}: SweepPorts): () => Promise<void> {
  return startEvery({
    run: async () => wakeInstances(await findDueInstances()),
    intervalMs,
    random,
    onError,
  });
}
