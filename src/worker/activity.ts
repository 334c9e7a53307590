import type { InstanceActivity } from "../domain/views/instance-activity.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { Lookup } from "../domain/outcome.ts";
import { tapEvents } from "../lib/tap-events.ts";
import type { WorkerEvents, WorkerPorts } from "./create-worker.ts";

type GetAvatar = WorkerPorts["getAvatar"];

/** What this process has done since it started, per instance. */
export interface Activity {
  calls(instanceId: InstanceId): number;
  /** Calls answered in the last 10 s, per second; 0 in the first two. */
  callsPerSecond(instanceId: InstanceId): number;
  /** The instances that this process has called in the last 10 minutes. */
  report(): InstanceActivity[];
}

const windowSeconds = 10;
/** After a rest of this long the window begins anew. A rate of 0.1 a second is no rest. */
const restSeconds = 60;
/** Recent calls are counted in buckets of this many seconds. */
const bucketSeconds = 10;
const recentSeconds = 600;
/** What one more answer weighs in the mean: about the last 40 of them count. */
const latencyWeight = 0.05;

interface Bucket {
  calls: number;
  throttled: number;
}

interface Tally {
  total: number;
  inFlight: number;
  latencyMs: number | undefined;
  /** The second of the first call after a rest, and that of the last one. */
  busyFrom: number;
  lastAt: number;
  /** Answers per whole second, for those of the window. */
  readonly seconds: Map<number, number>;
  /** The last 10 minutes. */
  readonly buckets: Map<number, Bucket>;
}

export interface ObservedActivity {
  readonly activity: Activity;
  /** To be told what the worker does. */
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
  const startedSecond = secondNow();

  function touch(instanceId: InstanceId): Tally {
    const second = secondNow();
    let tally = tallies.get(instanceId);
    if (tally === undefined) tallies.set(instanceId, (tally = createTally(second)));
    if (second - tally.lastAt >= restSeconds) tally.busyFrom = second;
    tally.lastAt = second;
    return tally;
  }

  function callsPerSecond({ seconds, busyFrom }: Tally): number {
    const end = secondNow();
    // Whole seconds only: those that have just begun, or were half over when we started, would make it flicker.
    const start = Math.max(end - windowSeconds, startedSecond + 1, busyFrom + 1);
    if (end <= start) return 0;
    let sum = 0;
    for (const [second, count] of seconds) if (second >= start && second < end) sum += count;
    return sum / (end - start);
  }

  function countAnswer(tally: Tally, { outcome, tookMs }: Lookup): void {
    const second = tally.lastAt;
    tally.total += 1;
    tally.seconds.set(second, (tally.seconds.get(second) ?? 0) + 1);
    forgetBefore(tally.seconds, second - windowSeconds);
    const key = Math.floor(second / bucketSeconds);
    const bucket = tally.buckets.get(key) ?? { calls: 0, throttled: 0 };
    tally.buckets.set(key, bucket);
    bucket.calls += 1;
    if (outcome.kind === "throttled") bucket.throttled += 1;
    tally.latencyMs = (tally.latencyMs ?? tookMs) * (1 - latencyWeight) + tookMs * latencyWeight;
  }

  function toReport(instanceId: InstanceId, tally: Tally): InstanceActivity {
    forgetBefore(tally.buckets, Math.floor((secondNow() - recentSeconds) / bucketSeconds) + 1);
    const buckets = [...tally.buckets.values()];
    return {
      instanceId,
      inFlight: tally.inFlight,
      callsPerSecond: callsPerSecond(tally),
      recentCalls: buckets.reduce((sum, { calls }) => sum + calls, 0),
      recentThrottled: buckets.reduce((sum, { throttled }) => sum + throttled, 0),
      latencyMs: tally.latencyMs,
    };
  }

  const isRecent = ({ inFlight, lastAt }: Tally) => inFlight > 0 || secondNow() - lastAt < recentSeconds;
  const activity: Activity = {
    calls: (instanceId) => tallies.get(instanceId)?.total ?? 0,
    callsPerSecond(instanceId) {
      const tally = tallies.get(instanceId);
      return tally ? callsPerSecond(tally) : 0;
    },
    report: () => [...tallies].filter(([, tally]) => isRecent(tally)).map((entry) => toReport(...entry)),
  };
  return {
    activity,
    events: tapEvents(events, {
      lookedUp: ({ instanceId, lookup }) => countAnswer(touch(instanceId), lookup),
    }),
    watch: (getAvatar) => async (instance, chatId, options) => {
      const instanceId = instance.instanceId as InstanceId;
      touch(instanceId).inFlight += 1;
      try {
        return await getAvatar(instance, chatId, options);
      } finally {
        touch(instanceId).inFlight -= 1;
      }
    },
  };
}

function createTally(second: number): Tally {
  return {
    total: 0,
    inFlight: 0,
    latencyMs: undefined,
    busyFrom: second,
    lastAt: second,
    seconds: new Map(),
    buckets: new Map(),
  };
}

function forgetBefore(counts: Map<number, unknown>, oldest: number): void {
  for (const key of counts.keys()) if (key < oldest) counts.delete(key);
}
