import type { InstanceActivity } from "../domain/views/instance-activity.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { tapEvents } from "../lib/tap-events.ts";
import type { WorkerEvents, WorkerPorts } from "./create-worker.ts";
import {
  countAnswer,
  countRecent,
  createTally,
  isRecent,
  toCallsPerSecond,
  touch,
  type Tally,
} from "./tally.ts";

type GetAvatar = WorkerPorts["getAvatar"];

/** The work of this process since it started, per instance. */
export interface Activity {
  calls(instanceId: InstanceId): number;
  /** Calls answered in the last 10 s, per second; 0 in the first two. */
  callsPerSecond(instanceId: InstanceId): number;
  /** The instances that this process has called in the last 10 minutes. */
  report(): InstanceActivity[];
}

export interface ObservedActivity {
  readonly activity: Activity;
  /** The listener to be told what the worker does. */
  readonly events: WorkerEvents;
  /** Counts calls while they are in flight. */
  watch(getAvatar: GetAvatar): GetAvatar;
}

/**
 * Counts what the worker does, and passes on to `events` what it is told.
 * @param nowMs a monotonic clock
 */
export function observeActivity(
  events: WorkerEvents,
  nowMs: () => number = performance.now.bind(performance),
): ObservedActivity {
  const tallies = new Map<InstanceId, Tally>();
  const secondNow = () => Math.floor(nowMs() / 1000);
  const startedAt = secondNow();

  function touchNow(instanceId: InstanceId): Tally {
    const now = secondNow();
    const tally = tallies.get(instanceId) ?? createTally(now);
    tallies.set(instanceId, tally);
    touch(tally, now);
    return tally;
  }

  function callsPerSecond(tally: Tally): number {
    return toCallsPerSecond(tally, { now: secondNow(), startedAt });
  }

  return {
    activity: {
      calls: (instanceId) => tallies.get(instanceId)?.total ?? 0,
      callsPerSecond(instanceId) {
        const tally = tallies.get(instanceId);
        return tally ? callsPerSecond(tally) : 0;
      },
      report: () =>
        [...tallies]
          .filter(([, tally]) => isRecent(tally, secondNow()))
          .map(([instanceId, tally]) => ({
            instanceId,
            inFlight: tally.inFlight,
            callsPerSecond: callsPerSecond(tally),
            ...countRecent(tally, secondNow()),
            latencyMs: tally.latencyMs,
          })),
    },
    events: tapEvents(events, {
      lookedUp: ({ instanceId, lookup }) => countAnswer(touchNow(instanceId), lookup),
    }),
    watch: (getAvatar) => (instance, chatId, options) => {
      const tally = touchNow(instance.instanceId as InstanceId);
      tally.inFlight += 1;
      const end = () => void (tally.inFlight -= 1);
      const call = getAvatar(instance, chatId, options);
      call.then(end, end);
      return call;
    },
  };
}
