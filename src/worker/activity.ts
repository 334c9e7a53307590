import type { InstanceId } from "../domain/instance-id.ts";
import type { WorkerEvents } from "./create-worker.ts";

/** What this process has done since it started, per instance. */
export interface Activity {
  calls(instanceId: InstanceId): number;
  /** Calls answered in the last 10 s, per second; 0 in the first two. */
  callsPerSecond(instanceId: InstanceId): number;
}

const windowSeconds = 10;

const secondNow = () => Math.floor(performance.now() / 1000);

/** Counts what the worker reports, and passes it on to `events`. */
export function observeActivity(events: WorkerEvents): { activity: Activity; events: WorkerEvents } {
  const totals = new Map<InstanceId, number>();
  /** Calls per instance and whole second, for the seconds of the window. */
  const seconds = new Map<InstanceId, Map<number, number>>();
  const startedSecond = secondNow();

  function count(instanceId: InstanceId): void {
    totals.set(instanceId, (totals.get(instanceId) ?? 0) + 1);
    const perSecond = seconds.get(instanceId) ?? new Map<number, number>();
    seconds.set(instanceId, perSecond);
    const second = secondNow();
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    for (const old of perSecond.keys()) if (old < second - windowSeconds) perSecond.delete(old);
  }

  const activity: Activity = {
    calls: (instanceId) => totals.get(instanceId) ?? 0,
    callsPerSecond(instanceId) {
      const calls = seconds.get(instanceId);
      const end = secondNow();
      // Whole seconds only: those that have just begun, or were half over when we started, would make it flicker.
      const start = Math.max(end - windowSeconds, startedSecond + 1);
      if (calls === undefined || end <= start) return 0;
      let sum = 0;
      for (const [second, count] of calls) if (second >= start && second < end) sum += count;
      return sum / (end - start);
    },
  };
  return {
    activity,
    events: {
      ...events,
      lookedUp(fields) {
        count(fields.instanceId);
        events.lookedUp(fields);
      },
    },
  };
}
