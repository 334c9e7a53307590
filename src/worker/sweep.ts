import type { InstanceId } from "../domain/instance-id.ts";
import { sleep } from "../lib/deadline.ts";

export interface SweepPorts {
  readonly findDueInstances: () => Promise<readonly InstanceId[]>;
  readonly wakeInstances: (ids: readonly InstanceId[]) => Promise<void>;
  readonly random: () => number;
  readonly onError: (error: unknown) => void;
}

const sweepIntervalMs = 5_000;

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
  const stopping = new AbortController();
  const sweeping = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await wakeInstances(await findDueInstances());
      } catch (error) {
        onError(error);
      }
      // Spread, so that many processes do not sweep in step.
      await sleep(sweepIntervalMs * (0.9 + 0.2 * random()), stopping.signal);
    }
  })();
  return () => {
    stopping.abort();
    return sweeping;
  };
}
