import { total } from "../domain/resync/plan-resync.ts";
import type { BackgroundTask } from "../lib/start-tasks.ts";
import type { Queues } from "../queue/queues.ts";
import { openDatabase, type Database } from "../store/postgres/database.ts";
import { createResyncLedger } from "../store/resync/resync-ledger.ts";
import { readClock, type NightPreparation } from "../store/resync/resync-nights.ts";
import { createResync, listResyncTasks } from "../worker/resync/resync.ts";
import type { Base } from "./base.ts";
import { createNightSource } from "./night-source.ts";
import { forecast } from "./subjects/forecast.ts";

/** Two connections that release, one that prepares a night, and two for its reads. */
const resyncConnections = 5;

/**
 * The tasks of the resync of a worker. They have connections of their own: planning takes seconds, and answers must not wait
 * for it. The closer of the process closes the connections.
 */
export async function openResyncTasks(base: Base, queues: Queues): Promise<BackgroundTask[]> {
  const { config, events, closer } = base;
  const database = await openDatabase({
    url: base.databaseUrl,
    maxConnections: resyncConnections,
    onConnectionLost: (error) => events.connectionLost(error),
  });
  closer.add("resync", () => database.close());
  const { share, dayShare } = config.resync;
  const settings = { share, dayShare, requestsPerSecond: config.requestsPerSecond };
  const readSource = createNightSource(base, database);
  const resync = createResync({
    ledger: createResyncLedger(database, settings, async (now, signal) =>
      prepare(base, database, now, await readSource(now, signal)),
    ),
    schedule: config.resync.schedule,
    wakeInstances: queues.wakeInstances,
    events,
  });
  return listResyncTasks(resync);
}

/** Plans the night, when the source query has been read: what it brings in is planned with the rest. */
async function prepare(
  { config, events }: Base,
  database: Database,
  now: Date,
  source: NightPreparation["source"],
): Promise<NightPreparation> {
  const plannedAt = source === undefined ? now : await readClock(database.pool);
  try {
    const { instances } = await forecast(config, database, plannedAt, { isNight: true });
    const plans = instances.map(({ instanceId, due, fits }) => ({
      instanceId,
      due: total(due),
      planned: fits,
    }));
    return { source, plans };
  } catch (error) {
    // A night without its plan is better than none.
    events.ledgerFailed({ where: "plan night" }, error);
    return { source, plans: undefined };
  }
}
