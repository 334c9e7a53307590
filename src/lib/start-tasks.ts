import { settleWithin } from "./deadline.ts";
import { startEvery } from "./start-every.ts";

/** Work that goes on beside the main business of a process, until it is stopped. */
export interface BackgroundTask {
  /** Told with each failure. */
  readonly name: string;
  /** From the end of one run to the beginning of the next, give or take a tenth. */
  readonly everyMs: number;
  /** The pause after a run that has failed; undefined: as always. */
  readonly restMs?: number;
  /**
   * Does its part. A run that fails is told, and the next one comes in its time.
   * @param signal aborted when the task is stopped: what takes long should end early then
   */
  readonly run: (signal: AbortSignal) => Promise<unknown>;
}

export interface TaskClockwork {
  readonly random: () => number;
  readonly onError: (name: string, error: unknown) => void;
  /** Tasks that are at work when they are stopped have so long, ms. Each may be cut off at any place. */
  readonly stopWithinMs: number;
}

/**
 * Starts tasks in the order of the list: each has a timer of its own, and its first run comes at once. Returns a function that
 * stops all tasks at once. It resolves when none is at work, or the time is up.
 */
export function startTasks(
  tasks: readonly BackgroundTask[],
  { random, onError, stopWithinMs }: TaskClockwork,
): () => Promise<void> {
  const stops = tasks.map(({ name, everyMs, restMs = everyMs, run }) =>
    startEvery({ run, intervalMs: everyMs, restMs, random, onError: (error) => onError(name, error) }),
  );
  return async () => void (await settleWithin(Promise.all(stops.map((stop) => stop())), stopWithinMs));
}
