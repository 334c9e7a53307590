import type { InstanceId } from "../domain/instance-id.ts";

export interface WakeTimers {
  /** Wakes the instance in `afterMs`, or earlier where an earlier wake-up is set. */
  wakeAfter(instanceId: InstanceId, afterMs: number): void;
  clear(): void;
}

/** Longer waits are left to the sweep. */
const maxWaitMs = 10 * 60_000;
/** Contacts that fall due within this time share one wake-up. */
const granularityMs = 100;

/**
 * Wakes instances when a retry falls due or a hold ends, so that no contact waits for the next sweep. Each instance has one timer;
 * what is lost with the process is found by the sweep.
 */
export function createWakeTimers(wake: (instanceId: InstanceId) => void): WakeTimers {
  const timers = new Map<InstanceId, { readonly at: number; readonly timer: NodeJS.Timeout }>();
  return {
    wakeAfter(instanceId, afterMs) {
      if (afterMs > maxWaitMs) return;
      const at = performance.now() + Math.max(0, afterMs) + granularityMs;
      const set = timers.get(instanceId);
      if (set && set.at <= at) return;
      clearTimeout(set?.timer);
      const fire = () => {
        timers.delete(instanceId);
        wake(instanceId);
      };
      timers.set(instanceId, { at, timer: setTimeout(fire, at - performance.now()) });
    },
    clear() {
      for (const { timer } of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}
