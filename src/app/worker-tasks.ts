import type { InstanceId } from "../domain/instance-id.ts";
import type { BackgroundTask } from "../lib/start-tasks.ts";
import type { Queues } from "../queue/queues.ts";
import { createBatchFinisher } from "../store/batches/finish-batches.ts";
import { isTransient, type Database } from "../store/postgres/database.ts";
import { listRemovalTasks } from "../store/retention/removal-tasks.ts";
import { removeOldArrivals } from "../store/work/arrivals.ts";
import { findDueInstances } from "../store/work/find-due-instances.ts";
import { applyLookupsAside } from "../store/saves/apply-lookups-aside.ts";
import { createSweep } from "../worker/sweep.ts";
import type { Base } from "./base.ts";
import type { ImageTaking } from "./image-taking.ts";
import { openResyncTasks } from "./resync-tasks.ts";
import type { WebhookSending } from "./tasks/webhook-sending.ts";

/** An answer that was put aside is seen this long, at most, after its contact is free. */
const asideIntervalMs = 1_000;

const arrivalsRemovedEveryMs = 60_000;

/** A reader of one batch sees at once that it is done; this is for lists. */
const finishIntervalMs = 5_000;

/** The work that this process is for. */
export interface WorkerScope {
  readonly isOurs: (id: InstanceId) => boolean;
  /** The process runs for good, and sees to the nights. */
  readonly isService: boolean;
  /** Connections for saves. */
  readonly saves: Database;
}

/**
 * The tasks of a worker beside its instance runs, in the order in which they start. First come those that find work, then
 * those that follow answers, make work, remove. All stop at the same time, while runs and calls in flight end. The tasks of
 * the resync have connections to themselves, which this opens; the closer of the process closes them.
 */
export async function openWorkerTasks(
  base: Base,
  queues: Queues,
  scope: WorkerScope,
  images: ImageTaking | undefined,
  webhooks: WebhookSending | undefined,
): Promise<BackgroundTask[]> {
  const { config, database, events } = base;
  const { pool } = database;
  return [
    createSweep({
      findDueInstances: async () => (await findDueInstances(pool)).filter(scope.isOurs),
      wakeInstances: queues.wakeInstances,
    }),
    {
      name: "save lookups that were put aside",
      everyMs: asideIntervalMs,
      run: async () => applyAside(base, scope.saves),
    },
    {
      name: "remove old arrivals",
      everyMs: arrivalsRemovedEveryMs,
      run: async () => removeOldArrivals(pool),
    },
    { name: "finish batches", everyMs: finishIntervalMs, run: createBatchFinisher(pool) },
    ...(images?.tasks ?? []),
    ...(webhooks?.tasks ?? []),
    ...(scope.isService ? await openResyncTasks(base, queues) : []),
    ...listRemovalTasks({
      pool,
      keepChangesMs: config.keepChangesMs,
      keepBatchesMs: config.keepBatchesMs,
      keepAuditMs: config.keepAuditMs,
      onRemoved: (removed) => events.oldRowsRemoved(removed),
    }),
  ];
}

async function applyAside({ config, events }: Base, { pool }: Database): Promise<void> {
  const keepsImages = config.images.kind !== "off";
  const { records, refused } = await applyLookupsAside(pool, keepsImages, isTransient);
  if (records > 0) events.asideSaved({ records });
  for (const { contactId, error } of refused) events.asideRefused({ contactId }, error);
}
