import { describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Lookup } from "../../src/domain/outcome.ts";
import { createActivity, type Activity } from "../../src/worker/activity.ts";
import { createDatabaseClock } from "../../src/worker/lane/clocks.ts";
import { createLane, type Lane } from "../../src/worker/lane/lane.ts";

const instanceId = "1101000001" as InstanceId;
const present: Lookup = {
  tookMs: 100,
  outcome: { kind: "present", scope: "chat", url: "https://x/a", urlExpiresAt: undefined, version: "/a" },
};
const throttled: Lookup = {
  tookMs: 20,
  outcome: { kind: "throttled", scope: "instance", retryAfterMs: undefined, by: "provider" },
};

/** Activity on a clock that stands still until it is told otherwise; it was started half a second into a second. */
function observe() {
  const clock = { ms: 1_000_500, now: () => clock.ms };
  const lanes = new Map<InstanceId, Lane>();
  const activity = createActivity({ find: (id) => lanes.get(id), list: () => [...lanes.values()] }, clock);
  const getCalls = (id: InstanceId) => {
    const known = lanes.get(id) ?? createLane(id, clock, createDatabaseClock());
    lanes.set(id, known);
    return known.calls;
  };
  const answer = (lookup: Lookup = present, id = instanceId) => {
    const ofLane = getCalls(id);
    ofLane.begin(clock.ms);
    ofLane.count(lookup);
    ofLane.end();
  };
  /** So many answers a second, evenly, for a while. */
  const answerFor = (seconds: number, perSecond: number) => {
    for (let calls = 0; calls < seconds * perSecond; calls += 1) {
      answer();
      clock.ms += 1000 / perSecond;
    }
  };
  return { activity, getCalls, clock, answer, answerFor };
}

const reportOf = ({ activity }: { readonly activity: Activity }) => activity.report()[0];

describe("the activity of a process", () => {
  test("counts calls per second over whole seconds only, and forgets them after ten", () => {
    const { activity, clock, answerFor } = observe();
    answerFor(1, 10);
    expect(activity.callsPerSecond(instanceId)).toBe(0);
    answerFor(4, 10);
    expect(activity.callsPerSecond(instanceId)).toBe(10);
    answerFor(20, 5);
    expect(activity.callsPerSecond(instanceId)).toBe(5);
    clock.ms += 5_000;
    // Five full seconds of ten, and the half in which the calls ended.
    expect(activity.callsPerSecond(instanceId)).toBe(2.7);
    clock.ms += 10_000;
    expect(activity.callsPerSecond(instanceId)).toBe(0);
    expect(activity.calls(instanceId)).toBe(150);
  });

  test("does not count a long rest into the speed of what follows it", () => {
    const { activity, clock, answerFor } = observe();
    answerFor(3, 10);
    clock.ms += 120_000;
    answerFor(3, 10);
    expect(activity.callsPerSecond(instanceId)).toBe(10);
  });

  test("takes a slow rate for no rest", () => {
    const { activity, clock, answer } = observe();
    for (let calls = 0; calls < 20; calls += 1) {
      answer();
      clock.ms += 10_000;
    }
    expect(activity.callsPerSecond(instanceId)).toBeCloseTo(0.1);
  });

  test("counts the refusals among the calls of ten minutes", () => {
    const { activity, clock, answer } = observe();
    answer(throttled);
    clock.ms += 300_000;
    answer();
    answer();
    expect(reportOf({ activity })).toMatchObject({ recentCalls: 3, recentThrottled: 1 });
    clock.ms += 310_000;
    expect(reportOf({ activity })).toMatchObject({ recentCalls: 2, recentThrottled: 0 });
  });

  test("tells how long answers take of late", () => {
    const { activity, answer } = observe();
    answer({ ...present, tookMs: 1_000 });
    expect(reportOf({ activity })).toMatchObject({ latencyMs: 1_000 });
    for (let calls = 0; calls < 200; calls += 1) answer({ ...present, tookMs: 50 });
    expect(reportOf({ activity })?.latencyMs).toBeCloseTo(50, 0);
  });

  test("knows the calls in flight, and when there are none any more", async () => {
    const { activity, getCalls } = observe();
    const calls = getCalls(instanceId);
    await calls.settle();
    for (let call = 0; call < 2; call += 1) calls.begin(1_000_000);
    expect(reportOf({ activity })).toMatchObject({ inFlight: 2, recentCalls: 0, latencyMs: undefined });
    let isSettled = false;
    const settled = calls.settle().then(() => (isSettled = true));
    calls.end();
    await Promise.resolve();
    expect(isSettled).toBe(false);
    calls.end();
    await settled;
    expect(reportOf({ activity })).toMatchObject({ inFlight: 0 });
  });

  test("is told of ten minutes after the last call no more", () => {
    const { activity, clock, answer } = observe();
    answer();
    answer(present, "1101000002" as InstanceId);
    clock.ms += 400_000;
    answer();
    expect(activity.report()).toHaveLength(2);
    clock.ms += 300_000;
    expect(activity.report().map((report) => report.instanceId)).toEqual([instanceId]);
    expect(activity.calls("1101000002" as InstanceId)).toBe(1);
  });
});
