import type { Config } from "../../config.ts";
import { simulatedInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import { toCareFacts } from "../../domain/care/care-view.ts";
import {
  planResync,
  type PlanWindow,
  type RefreshCount,
  type ResyncForecast,
} from "../../domain/resync/plan-resync.ts";
import { nextNightAt, type ResyncSchedule } from "../../domain/resync/resync-schedule.ts";
import { findNightEnd, isInWindow, nextWindow } from "../../domain/resync/resync-window.ts";
import { listInstances } from "../../store/instances/instances.ts";
import type { Database } from "../../store/postgres/database.ts";
import { countRefreshes } from "../../store/resync/count-refreshes.ts";
import { countBacklog } from "../../store/status/read-gauges.ts";

/** The share of an instance's rate that is reached: a margin is kept on top of each second of calls. */
const reachedShare = 0.98;
/** Planning is one pass over an index, some seconds for ten million contacts. */
const planDeadlineMs = 50_000;

/**
 * Counts what is due and plans how far the next window gets.
 * @param options.only this instance
 * @param options.isNight for a night that begins now, which may have to be made up for by day
 */
export async function forecast(
  config: Config,
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
    listInstances(database),
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
          care: toCareFacts(instance),
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
