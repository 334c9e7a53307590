import { settleWithin } from "./deadline.ts";
import { startEvery } from "./start-every.ts";

/** Work that goes on beside the main business of a process, until it is stopped. */
export type BackgroundTask = RecurringTask | TimedTask;

interface RecurringTask {
  /** Told with each failure. */
  readonly name: string;
  /** From the end of one run to the beginning of the next, give or take a tenth. */
  readonly everyMs: number;
  /** Does its part. A run that fails is told, and the next one comes in its time. */
  readonly run: () => Promise<unknown>;
}

/** Several runs with timers of their own. */
interface TimedTask {
  readonly name: string;
  /** Returns a function that stops it. */
  readonly start: () => Stop | Promise<Stop>;
}

type Stop = () => Promise<void>;

export interface TaskClockwork {
  readonly random: () => number;
  readonly onError: (name: string, error: unknown) => void;
  /** Tasks that are at work when they are stopped have so long, ms. Each may be cut off at any place. */
  readonly stopWithinMs: number;
}

/**
 * Starts tasks one by one, in the order of the list. Returns a function that stops all of them at the same time, and resolves
 * when none is at work or the time is up.
 */
export async function startTasks(
  tasks: readonly BackgroundTask[],
  { random, onError, stopWithinMs }: TaskClockwork,
): Promise<Stop> {
  const stops: Stop[] = [];
  for (const task of tasks) {
    if ("start" in task) {
      stops.push(await task.start());
      continue;
    }
    const { name, everyMs, run } = task;
    stops.push(startEvery({ run, intervalMs: everyMs, random, onError: (error) => onError(name, error) }));
  }
  return async () => void (await settleWithin(Promise.all(stops.map((stop) => stop())), stopWithinMs));
}
