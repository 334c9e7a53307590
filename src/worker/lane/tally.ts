import type { InstanceActivity } from "../../domain/views/instance-activity.ts";
import type { Lookup } from "../../domain/outcome.ts";

/** The work of one process for one instance. Seconds are whole ones of a monotonic clock. */
export interface Tally {
  /** Calls answered since the process started. */
  total: number;
  /** The mean time of an answer, ms; undefined before the first. */
  latencyMs: number | undefined;
  /** The second of the first call after a rest. */
  busyFrom: number;
  /** The second of the last call. */
  lastAt: number;
  /** Answers per whole second, for those of the window. */
  readonly seconds: Map<number, number>;
  /** The calls of the last 10 minutes. */
  readonly buckets: Map<number, Bucket>;
}

interface Bucket {
  calls: number;
  throttled: number;
}

const windowSeconds = 10;
/** After a rest of this long the window begins anew. A rate of 0.1 a second is no rest. */
const restSeconds = 60;
/** Recent calls are counted in buckets of this many seconds. */
const bucketSeconds = 10;
const recentSeconds = 600;
/** The weight of one more answer in the mean: about the last 40 of them count. */
const latencyWeight = 0.05;

export function createTally(second: number): Tally {
  return {
    total: 0,
    latencyMs: undefined,
    busyFrom: second,
    lastAt: second,
    seconds: new Map(),
    buckets: new Map(),
  };
}

/** A call begins or ends in this second. */
export function touch(tally: Tally, second: number): void {
  if (second - tally.lastAt >= restSeconds) tally.busyFrom = second;
  tally.lastAt = second;
}

/** A call was answered in the second that was touched last. */
export function countAnswer(tally: Tally, { outcome, tookMs }: Lookup): void {
  const second = tally.lastAt;
  tally.total += 1;
  const before = tally.seconds.get(second);
  tally.seconds.set(second, (before ?? 0) + 1);
  if (before === undefined) forgetBefore(tally.seconds, second - windowSeconds);
  const bucket = getBucket(tally, Math.floor(second / bucketSeconds));
  bucket.calls += 1;
  if (outcome.kind === "throttled") bucket.throttled += 1;
  tally.latencyMs = (tally.latencyMs ?? tookMs) * (1 - latencyWeight) + tookMs * latencyWeight;
}

function getBucket({ buckets }: Tally, key: number): Bucket {
  const known = buckets.get(key);
  if (known) return known;
  const bucket = { calls: 0, throttled: 0 };
  buckets.set(key, bucket);
  return bucket;
}

/**
 * Calls answered in the last 10 s, per second. Only whole seconds count: one that has just begun, or was half over when the process
 * started, would make the figure flicker.
 */
export function toCallsPerSecond(
  { seconds, busyFrom }: Tally,
  { now, startedAt }: { readonly now: number; readonly startedAt: number },
): number {
  const start = Math.max(now - windowSeconds, startedAt + 1, busyFrom + 1);
  if (now <= start) return 0;
  let sum = 0;
  for (const [second, count] of seconds) if (second >= start && second < now) sum += count;
  return sum / (now - start);
}

/** Was the instance called in the last 10 minutes? */
export function isRecent({ lastAt }: Tally, now: number): boolean {
  return now - lastAt < recentSeconds;
}

/** Counts the calls of the last 10 minutes, and forgets older ones. */
export function countRecent(
  { buckets }: Tally,
  now: number,
): Pick<InstanceActivity, "recentCalls" | "recentThrottled"> {
  forgetBefore(buckets, Math.floor((now - recentSeconds) / bucketSeconds) + 1);
  const counts = [...buckets.values()];
  return {
    recentCalls: counts.reduce((sum, { calls }) => sum + calls, 0),
    recentThrottled: counts.reduce((sum, { throttled }) => sum + throttled, 0),
  };
}

function forgetBefore(counts: Map<number, unknown>, oldest: number): void {
  for (const key of counts.keys()) if (key < oldest) counts.delete(key);
}
