import type pg from "pg";
import { startEvery } from "../../lib/start-every.ts";
import type { Gate } from "../postgres/gates.ts";
import { removeInSteps, type RemovedRows, type RemoveSome } from "./remove-in-steps.ts";
import { createBatchRemover } from "./remove-old-batches.ts";
import { createChangeRemover } from "./remove-old-changes.ts";
import { createErasureRemover } from "./remove-old-erasures.ts";
import { createResyncRemover } from "./remove-old-resyncs.ts";

export interface Retention {
  readonly pool: pg.Pool;
  /** Undefined: for ever. */
  readonly keepChangesMs: number | undefined;
  readonly keepBatchesMs: number | undefined;
  readonly random: () => number;
  readonly onRemoved: (removed: RemovedRows) => void;
  /** @param what e.g. `old changes` */
  readonly onError: (what: string, error: unknown) => void;
}

/** The interval as long as there is more to remove. */
const busyIntervalMs = 10_000;
const restMs = 600_000;

/**
 * Removes rows that are older than they are to be kept. It works about a second in ten, and looks every ten minutes where
 * nothing is left. Any number of processes may do so: one that meets another at work rests. Returns a function that stops it.
 */
export function startRetention(retention: Retention): () => Promise<void> {
  const { keepChangesMs, keepBatchesMs } = retention;
  const stops = [start(retention, "old erasures", createErasureRemover())];
  if (keepChangesMs !== undefined)
    stops.push(
      start(retention, "old changes", createChangeRemover(keepChangesMs)),
      start(retention, "old resyncs", createResyncRemover(keepChangesMs)),
    );
  if (keepBatchesMs !== undefined)
    stops.push(start(retention, "old batches", createBatchRemover(keepBatchesMs)));
  return async () => void (await Promise.all(stops.map((stop) => stop())));
}

function start(
  { pool, random, onRemoved, onError }: Retention,
  what: Gate & `old ${string}`,
  removeSome: RemoveSome,
): () => Promise<void> {
  const stopping = new AbortController();
  let restsUntil = -Infinity;
  const stop = startEvery({
    async run() {
      if (performance.now() < restsUntil) return;
      const { removed, isMore } = await removeInSteps(pool, {
        gate: what,
        removeSome,
        signal: stopping.signal,
      });
      if (!isMore) restsUntil = performance.now() + restMs;
      if (Object.values(removed).some((rows) => rows > 0)) onRemoved(removed);
    },
    intervalMs: busyIntervalMs,
    random,
    onError: (error) => onError(what, error),
  });
  return () => {
    stopping.abort();
    return stop();
  };
}
