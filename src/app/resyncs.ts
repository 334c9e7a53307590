import { simulatedInstanceId, type InstanceId } from "../domain/instance-id.ts";
import {
  planResync,
  total,
  type PlanWindow,
  type RefreshCount,
  type ResyncForecast,
} from "../domain/resync/plan-resync.ts";
import { findNightEnd, isInWindow, nextWindow } from "../domain/resync/resync-window.ts";
import { nextNightAt, type ResyncSchedule } from "../domain/resync/resync-schedule.ts";
import type { Base } from "./base.ts";
import { createNightSource } from "./night-source.ts";
import { countRefreshes } from "../store/resync/count-refreshes.ts";
import { openDatabase, type Database } from "../store/postgres/database.ts";
import { findReleasableRuns, openTrickles, switchOff } from "../store/resync/find-releasable-runs.ts";
import * as instanceStore from "../store/instances/instances.ts";
import { findLatestNight, findLatestRuns, listResyncRuns } from "../store/resync/list-resync-runs.ts";
import type { ManualResync, OpenedResync, RefreshFilter } from "../domain/resync/manual-resync.ts";
import { countMatching, openManualResync } from "../store/resync/open-manual-resync.ts";
import { countBacklog } from "../store/status/read-gauges.ts";
import { releaseRefreshes } from "../store/resync/release-refreshes.ts";
import { releaseLeadMs } from "../domain/resync/decide-release.ts";
import {
  beginNights,
  findLastNightAt,
  openNight,
  prepareNight,
  readClock,
  type NightPreparation,
} from "../store/resync/resync-nights.ts";
import type { BackgroundTask } from "../lib/start-tasks.ts";
import type { Queues } from "../queue/queues.ts";
import { createResync, listResyncTasks, type ResyncLedger } from "../worker/resync/resync.ts";

/** What of an instance's rate is reached: a margin is kept on top of each second of calls. */
const reachedShare = 0.98;
/** Planning is one pass over an index, some seconds for ten million contacts. */
const planDeadlineMs = 50_000;

/** The resync as people see and steer it. */
export interface Resyncs {
  plan(only?: InstanceId): Promise<ResyncForecast>;
  /** Has an instance refreshed now. Workers ask; the queue is the caller's business. */
  open(request: ManualResync): Promise<OpenedResync>;
  countMatching(instanceId: InstanceId, filter: RefreshFilter): Promise<number>;
  findLatestRuns(only?: InstanceId): ReturnType<typeof findLatestRuns>;
  findLatestNight(): ReturnType<typeof findLatestNight>;
  listRuns: (
    filter: Parameters<typeof listResyncRuns>[1],
    page: Parameters<typeof listResyncRuns>[2],
  ) => ReturnType<typeof listResyncRuns>;
}

/** @param database whose connections may be busy for some seconds */
export function createResyncs({ config }: Base, database: Database): Resyncs {
  const { pool } = database;
  return {
    plan: async (only) => forecast(config, database, await readClock(pool), { only }),
    async open(request) {
      const now = await readClock(pool);
      const { schedule } = config.resync;
      const isInWindowNow = schedule !== undefined && isInWindow(schedule, now);
      return openManualResync(pool, { ...request, now, isInWindow: isInWindowNow });
    },
    countMatching: (instanceId, filter) => countMatching(pool, instanceId, filter),
    findLatestRuns: (only) => findLatestRuns(pool, only),
    findLatestNight: () => findLatestNight(pool),
    listRuns: (filter, page) => listResyncRuns(pool, filter, page),
  };
}

/** Two that release, one that prepares a night, and what that reads. */
const resyncConnections = 5;

/**
 * The tasks of the resync of a worker, on connections of their own: planning takes seconds, and answers must not wait for it. The
 * closer of the process closes the connections.
 */
export async function openResyncTasks(base: Base, queues: Queues): Promise<BackgroundTask[]> {
  const { config, events, closer } = base;
  const database = await openDatabase({
    url: base.databaseUrl,
    maxConnections: resyncConnections,
    onConnectionLost: (error) => events.connectionLost(error),
  });
  closer.add("resync", () => database.close());
  const resync = createResync({
    ledger: createResyncLedger(base, database, createNightSource(base, database)),
    schedule: config.resync.schedule,
    wakeInstances: queues.wakeInstances,
    events,
  });
  return listResyncTasks(resync);
}

/** The ledger as the resync of a worker sees it. */
function createResyncLedger(
  { config, events }: Base,
  database: Database,
  readSource: (now: Date, signal: AbortSignal) => Promise<NightPreparation["source"]>,
): ResyncLedger {
  const { pool } = database;
  const { share, dayShare } = config.resync;

  async function planNight(now: Date): Promise<NightPreparation["plans"]> {
    try {
      const { instances } = await forecast(config, database, now, { isNight: true });
      return instances.map(({ instanceId, due, fits }) => ({ instanceId, due: total(due), planned: fits }));
    } catch (error) {
      // A night without its plan is better than none.
      events.ledgerFailed({ where: "plan night" }, error);
      return undefined;
    }
  }

  return {
    readClock: () => readClock(pool),
    findLastNightAt: () => findLastNightAt(pool),
    beginNights: (slotAt, now) => beginNights(pool, slotAt, now),
    openNight: (night) => openNight(pool, night),
    prepareNight: (now, signal) =>
      prepareNight(pool, async () => {
        const source = await readSource(now, signal);
        return { source, plans: await planNight(source === undefined ? now : await readClock(pool)) };
      }),
    openTrickles: (now) => openTrickles(pool, now, dayShare),
    switchOff: (now) => switchOff(pool, now),
    findReleasableRuns: (until) => findReleasableRuns(pool, until),
    release: (runId, now, isInWindow) =>
      releaseRefreshes(pool, {
        runId,
        now,
        isInWindow,
        shares: { share, dayShare },
        defaultRate: config.requestsPerSecond,
        leadMs: releaseLeadMs,
      }),
  };
}

async function forecast(
  config: Base["config"],
  database: Database,
  now: Date,
  { only, isNight = false }: { readonly only?: InstanceId | undefined; readonly isNight?: boolean },
): Promise<ResyncForecast> {
  const { schedule, share, dayShare } = config.resync;
  // A night that is made up for by day has the calls of the day until the next one.
  const isByDay =
    isNight &&
    schedule !== undefined &&
    findNightEnd(schedule, now) === undefined &&
    !isInWindow(schedule, now);
  const window = isByDay
    ? { from: now, until: nextNightAt(schedule, now) }
    : schedule && findWindow(schedule, now);
  const planned = window ?? { from: now, until: now };
  const [counts, backlogs, all] = await Promise.all([
    countRefreshes(database.pool, { now, ...planned }, { deadlineMs: planDeadlineMs, only }),
    countBacklog(database.pool, planDeadlineMs),
    instanceStore.listInstances(database),
  ]);
  const ofInstance = groupByInstance(counts);
  const waiting = new Map(backlogs.map(({ instanceId, due, waiting }) => [instanceId, due + waiting]));
  const instances = all
    .filter(({ id }) => (only === undefined ? id !== simulatedInstanceId : id === only))
    .map((instance) =>
      planResync(
        {
          instanceId: instance.id,
          state: instance.state,
          requestsPerSecond: (instance.requestsPerSecond ?? config.requestsPerSecond) * reachedShare,
          share: isByDay ? (instance.resyncDayShare ?? dayShare) : (instance.resyncShare ?? share),
          dayShare: instance.resyncDayShare ?? dayShare,
          backlog: waiting.get(instance.id) ?? 0,
        },
        ofInstance.get(instance.id) ?? [],
        planned,
        schedule === undefined ? [] : windowsAfter(schedule, planned.until),
        now,
      ),
    );
  return { now, window, instances };
}

function groupByInstance(counts: readonly RefreshCount[]): Map<InstanceId, RefreshCount[]> {
  const groups = new Map<InstanceId, RefreshCount[]>();
  for (const count of counts) {
    const group = groups.get(count.instanceId);
    if (group) group.push(count);
    else groups.set(count.instanceId, [count]);
  }
  return groups;
}

/** The window that has begun, as far as it lies ahead, or the next. */
function findWindow(schedule: ResyncSchedule, now: Date): PlanWindow {
  const { from, until } = nextWindow(schedule, now);
  return { from: from < now ? now : from, until };
}

function* windowsAfter(schedule: ResyncSchedule, after: Date): Generator<PlanWindow> {
  for (let at = after; ;) {
    const window = nextWindow(schedule, at);
    yield window;
    at = window.until;
  }
}
