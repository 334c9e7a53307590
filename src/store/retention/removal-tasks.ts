import type pg from "pg";
import type { BackgroundTask } from "../../lib/start-tasks.ts";
import type { Gate } from "../postgres/gates.ts";
import { removeInSteps, type RemovedRows, type RemoveSome } from "./remove-in-steps.ts";
import { createAuditRemover } from "./remove-old-audit.ts";
import { createBatchRemover } from "./remove-old-batches.ts";
import { createChangeRemover } from "./remove-old-changes.ts";
import { createErasureRemover } from "./remove-old-erasures.ts";
import { createResyncRemover } from "./remove-old-resyncs.ts";

export interface Retention {
  readonly pool: pg.Pool;
  /** Undefined: for ever. */
  readonly keepChangesMs: number | undefined;
  readonly keepBatchesMs: number | undefined;
  readonly keepAuditMs: number | undefined;
  readonly onRemoved: (removed: RemovedRows) => void;
}

/** The interval as long as there is more to remove. */
const busyIntervalMs = 10_000;
const restMs = 600_000;

/**
 * The tasks that remove rows that are older than they are to be kept. Each works about a second in ten, and looks every ten minutes
 * where nothing is left. Any number of processes may do so: one that meets another at work rests.
 */
export function listRemovalTasks(retention: Retention): BackgroundTask[] {
  const { keepChangesMs, keepBatchesMs, keepAuditMs } = retention;
  const tasks = [toTask(retention, "old erasures", createErasureRemover())];
  if (keepChangesMs !== undefined)
    tasks.push(
      toTask(retention, "old changes", createChangeRemover(keepChangesMs)),
      toTask(retention, "old resyncs", createResyncRemover(keepChangesMs)),
    );
  if (keepBatchesMs !== undefined)
    tasks.push(toTask(retention, "old batches", createBatchRemover(keepBatchesMs)));
  if (keepAuditMs !== undefined) tasks.push(toTask(retention, "old audit", createAuditRemover(keepAuditMs)));
  return tasks;
}

function toTask(
  { pool, onRemoved }: Retention,
  gate: Gate & `old ${string}`,
  removeSome: RemoveSome,
): BackgroundTask {
  let restsUntil = -Infinity;
  return {
    name: `remove ${gate}`,
    everyMs: busyIntervalMs,
    async run(signal) {
      if (performance.now() < restsUntil) return;
      const { removed, isMore } = await removeInSteps(pool, { gate, removeSome, signal });
      if (!isMore) restsUntil = performance.now() + restMs;
      if (Object.values(removed).some((rows) => rows > 0)) onRemoved(removed);
    },
  };
}
