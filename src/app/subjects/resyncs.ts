import type { Actor } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ManualResync, OpenedResync } from "../../domain/resync/manual-resync.ts";
import type { ResyncForecast } from "../../domain/resync/plan-resync.ts";
import { isInWindow } from "../../domain/resync/resync-window.ts";
import { settleWithin } from "../../lib/deadline.ts";
import { createSharedReads } from "../../lib/reads/shared-reads.ts";
import { TryAgainError } from "../../store/postgres/try-again-error.ts";
import { openManualResync } from "../../store/resync/open-manual-resync.ts";
import { readClock } from "../../store/resync/resync-nights.ts";
import { createResyncStore, type ResyncStore } from "../../store/resync/resync-store.ts";
import type { Door } from "./door.ts";
import { forecast } from "./forecast.ts";

/** The resync as people see and steer it, for the command line and the API. */
export interface Resyncs extends ResyncStore {
  /** Plans for all instances, or for one. It counts for seconds. */
  plan(only?: InstanceId): Promise<ResyncForecast>;
  /**
   * Plans for all instances, or gives the plan of a moment ago. Planning takes at most one part in ten of the time.
   * @throws TryAgainError where planning takes longer than a caller waits; it goes on, for the next one
   */
  planShared(): Promise<ResyncForecast>;
  /** Has an instance refreshed now. Workers ask; the queue is the caller's business. */
  open(request: ManualResync, by: Actor): Promise<OpenedResync>;
}

const sharedPlan = { timeShare: 10, maxKeys: 1 };
const sharedPlanMs = 10_000;

export function createResyncs({
  config,
  quick,
  lasting,
}: Pick<Door, "config" | "quick" | "lasting">): Resyncs {
  const plans = createSharedReads<ResyncForecast>({ ...sharedPlan, now: () => performance.now() });
  const plan: Resyncs["plan"] = async (only) =>
    forecast(config, lasting, await readClock(lasting.pool), { only });
  return {
    ...createResyncStore(quick),
    plan,
    async planShared() {
      const planned = plans("all", async () => plan());
      if (!(await settleWithin(planned, sharedPlanMs))) throw new TryAgainError("planning takes its time");
      return planned;
    },
    async open(request, by) {
      const { pool } = quick;
      const now = await readClock(pool);
      const { schedule } = config.resync;
      const isInWindowNow = schedule !== undefined && isInWindow(schedule, now);
      return openManualResync(pool, { ...request, now, isInWindow: isInWindowNow, by });
    },
  };
}
