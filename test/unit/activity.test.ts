import { describe, expect, test } from "vitest";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Lookup } from "../../src/domain/outcome.ts";
import { observeActivity, type ObservedActivity } from "../../src/worker/activity.ts";
import type { WorkerEvents } from "../../src/worker/create-worker.ts";
import { createGate } from "../support/gate.ts";

const instanceId = "1101000001" as InstanceId;
const chatId = "79001234567@c.us" as ChatId;
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
  const told: Lookup[] = [];
  const clock = { ms: 1_000_500 };
  const events = {
    lookedUp: ({ lookup }) => void told.push(lookup),
  } as Partial<WorkerEvents> as WorkerEvents;
  const observed = observeActivity(events, () => clock.ms);
  const answer = (lookup: Lookup = present, id = instanceId) =>
    observed.events.lookedUp({ instanceId: id, chatId, lookup });
  /** So many answers a second, evenly, for a while. */
  const answerFor = (seconds: number, perSecond: number) => {
    for (let calls = 0; calls < seconds * perSecond; calls += 1) {
      answer();
      clock.ms += 1000 / perSecond;
    }
  };
  return { ...observed, told, clock, answer, answerFor };
}

const reportOf = ({ activity }: Pick<ObservedActivity, "activity">) => activity.report()[0];

describe("the activity of a process", () => {
  test("passes on what it is told", () => {
    const { told, answer } = observe();
    answer();
    answer(throttled);
    expect(told).toEqual([present, throttled]);
  });

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

  test("knows the calls in flight, whether they end well or not", async () => {
    const observed = observe();
    const gate = createGate();
    const credentials = { instanceId, apiUrl: "http://127.0.0.1:9", token: "secret" };
    const options = { signal: new AbortController().signal, mayLeave: () => true };
    const getAvatar = observed.watch(async () => {
      await gate.opened;
      return present;
    });
    const calls = [1, 2, 3].map(async () => getAvatar(credentials, chatId, options));
    expect(reportOf(observed)).toMatchObject({ inFlight: 3, recentCalls: 0, latencyMs: undefined });
    gate.open();
    await Promise.all(calls);
    const failing = observed.watch(() => Promise.reject(new Error("a fault")));
    await expect(failing(credentials, chatId, options)).rejects.toThrow("a fault");
    expect(reportOf(observed)).toMatchObject({ inFlight: 0 });
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
