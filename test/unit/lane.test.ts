import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { initialMarginMs, leastMarginMs, mostMarginMs } from "../../src/domain/pace/refusal-constants.ts";
import { clockErrorMs, laneGapMs, slotToleranceMs } from "../../src/domain/pace/pacer.ts";
import { relateClocks } from "../../src/worker/run/clocks.ts";
import { createLane } from "../../src/worker/run/lane.ts";
import { simulateLanes, type Step } from "../support/lane-world.ts";
import { findOverfullSecond } from "../support/sliding-second.ts";

const marginMs = 12;
const pace = { requestsPerSecond: 10, marginMs };
const instanceId = "1101000001" as InstanceId;

function openLane(startsAt = 0) {
  const clock = { at: startsAt, now: () => clock.at };
  return { clock, lane: createLane(instanceId, clock) };
}

const shortMs = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 30, noNaN: true }));
const lagMs = fc.oneof({ weight: 3, arbitrary: shortMs }, fc.double({ min: 0, max: 900, noNaN: true }));
const lateness = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.double({ min: 0, max: 2 * slotToleranceMs, noNaN: true }) },
    { weight: 1, arbitrary: fc.double({ min: 0, max: 3_000, noNaN: true }) },
  ),
  { minLength: 1, maxLength: 8 },
);
const toSteps = (rate: number): fc.Arbitrary<Step[]> => {
  const calls = fc.integer({ min: 1, max: Math.ceil(rate * 1.5) });
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("reserve" as const),
        calls,
        there: lagMs,
        inside: lagMs,
        back: lagMs,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("send" as const),
        calls,
        lateness,
        // Less than what the gap between lanes leaves: nobody else can know how long a connection takes.
        connecting: fc.oneof(fc.constant(0), fc.double({ min: 0, max: slotToleranceMs - 5, noNaN: true })),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("stall" as const), ms: fc.integer({ min: 0, max: 4_000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("pace" as const),
        share: fc.oneof(fc.constant(1), fc.double({ min: 0.1, max: 1, noNaN: true })),
        marginMs: fc.double({ min: leastMarginMs, max: mostMarginMs, noNaN: true }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("crash" as const), ms: fc.integer({ min: 0, max: 300 }) }),
    },
  );
  return fc.array(step, { minLength: 1, maxLength: 14 });
};
const prompt = (calls: number): Step => ({ kind: "send", calls, lateness: [0] });
const toProcesses = (rate: number, maxLength: number) =>
  fc.array(fc.record({ clockOffsetMs: fc.integer({ min: -1e6, max: 1e6 }), steps: toSteps(rate) }), {
    minLength: 2,
    maxLength,
  });

describe("processes that share an instance", () => {
  test.each([1, 2, 3, 5, 10, 20, 50, 1000])(
    "put no more than %i calls into any sliding second, whatever stalls, crashes, or wakes up late",
    (rate) => {
      const checkPace = { requestsPerSecond: rate, marginMs };
      fc.assert(
        fc.property(toProcesses(rate, 4), (processes) => {
          const sent = simulateLanes(checkPace, processes, laneGapMs);
          expect(findOverfullSecond(sent, rate)).toBeUndefined();
        }),
        // The same worlds each time: a rare one breaks it, which the test below gives.
        { numRuns: rate > 100 ? 60 : 400, seed: rate },
      );
    },
  );

  // Expected to fail until the right to send goes with a lease of the instance. Then only one process sends at a time, so
  // that no other process can send in the wake of calls whose connection it knows nothing of. The world is shrunk from
  // one that seed 2064494938 finds at a rate of 50 in 12,000 runs: 51 calls in a second that lacks 0.9 ms.
  test.fails("keep the rate although each call of one leaves 40 ms late, as its connection opens", () => {
    const late: Step = { kind: "send", calls: 4, lateness: [0], connecting: 40 };
    const processes = [
      { clockOffsetMs: 0, steps: [prompt(36)] },
      { clockOffsetMs: 0, steps: [late, prompt(15)] },
      { clockOffsetMs: 0, steps: [{ kind: "reserve" as const, calls: 1, there: 0, inside: 0, back: 0 }] },
    ];
    const sent = simulateLanes({ requestsPerSecond: 50, marginMs }, processes, laneGapMs);
    expect(findOverfullSecond(sent, 50)).toBeUndefined();
  });

  test("keep a rate that is no whole number too", () => {
    const world = fc
      .double({ min: 0.2, max: 12, noNaN: true })
      .chain((rate) => fc.tuple(fc.constant(rate), toProcesses(rate, 3)));
    fc.assert(
      fc.property(world, ([rate, processes]) => {
        const sent = simulateLanes({ requestsPerSecond: rate, marginMs }, processes, laneGapMs);
        expect(findOverfullSecond(sent, Math.max(1, Math.floor(rate)))).toBeUndefined();
      }),
      { numRuns: 400, seed: 12 },
    );
  });

  test("would not without the gap between them", () => {
    const late: Step = { kind: "send", calls: 5, lateness: [slotToleranceMs] };
    const processes = [
      { clockOffsetMs: 0, steps: [late] },
      { clockOffsetMs: 0, steps: [{ kind: "stall" as const, ms: 5 }, prompt(10)] },
    ];
    expect(findOverfullSecond(simulateLanes(pace, processes, laneGapMs), 10)).toBeUndefined();
    const withoutGap = fc.check(
      fc.property(toProcesses(10, 3), (others) => {
        expect(findOverfullSecond(simulateLanes(pace, others, 0), 10)).toBeUndefined();
      }),
      { numRuns: 3_000, seed: 10 },
    );
    expect(withoutGap.failed).toBe(true);
  });
});

describe("one lane whose timers are punctual", () => {
  test.each([1, 3, 10, 50, 1000])("uses 99 %% of a rate of %i a second", (rate) => {
    const claim = Math.max(1, Math.ceil(rate * 0.6));
    const ahead: Step = { kind: "reserve", calls: claim, there: 2, inside: 1, back: 2 };
    const send: Step = { kind: "send", calls: claim, lateness: [0] };
    const steps = [ahead, ...Array.from({ length: 200 }, () => [ahead, send]).flat()];
    const punctual = { requestsPerSecond: rate, marginMs: initialMarginMs };
    const sent = simulateLanes(punctual, [{ clockOffsetMs: 12_345, steps }], laneGapMs);
    const seconds = ((sent.at(-1) ?? 0) - (sent[0] ?? 0)) / 1000;
    expect((sent.length - 1) / seconds / rate).toBeGreaterThanOrEqual(0.99);
    expect(findOverfullSecond(sent, rate)).toBeUndefined();
  });
});

describe("a lane", () => {
  test("without slots lets no call go", () => {
    expect(openLane().lane.slots.nextAt()).toBeUndefined();
  });

  test("starts a slot only when the database's clock has surely reached it", () => {
    const { clock, lane } = openLane();
    // The statement was sent at 100 and answered at 140: the database's 5000 was somewhere in between.
    clock.at = 140;
    lane.slots.add({ slotsFromMs: 5_200, slotsUntilMs: 5_300, databaseNowMs: 5_000 }, pace, 100, 140);
    expect(lane.slots.nextAt()).toBe(340);
  });

  test("forgets slots when they may have gone by on the database's clock, by more than we may be wrong", () => {
    const { clock, lane } = openLane();
    lane.slots.add({ slotsFromMs: 5_200, slotsUntilMs: 5_300, databaseNowMs: 5_000 }, pace, 100, 140);
    clock.at = 400 + slotToleranceMs + clockErrorMs;
    expect(lane.slots.nextAt()).toBeLessThanOrEqual(clock.at);
    clock.at += 0.001;
    expect(lane.slots.nextAt()).toBeUndefined();
  });

  test.each([0, 60, 200, 300])("sends a lone call although the database took %i ms to answer", (tookMs) => {
    const { clock, lane } = openLane();
    clock.at = 1_000 + tookMs;
    lane.slots.add({ slotsFromMs: 5_000, slotsUntilMs: 5_000, databaseNowMs: 5_000 }, pace, 1_000, clock.at);
    expect(lane.slots.nextAt()).toBeLessThanOrEqual(clock.at);
  });

  test("sends nothing before the moment that it was told, and goes on from there in its spacing", () => {
    const { clock, lane } = openLane();
    lane.slots.add({ slotsFromMs: 1_000, slotsUntilMs: 1_500, databaseNowMs: 1_000 }, pace, 0, 0);
    lane.slots.notBefore(70);
    expect(lane.slots.nextAt()).toBe(70);
    clock.at = 70;
    lane.slots.take();
    expect(lane.slots.nextAt()).toBeCloseTo(70 + 101.2, 5);
    lane.slots.notBefore(10);
    expect(lane.slots.nextAt()).toBeCloseTo(70 + 101.2, 5);
  });

  test("goes on to the slots that were reserved next when the first ones have gone by", () => {
    const { clock, lane } = openLane();
    lane.slots.add({ slotsFromMs: 1_000, slotsUntilMs: 1_100, databaseNowMs: 1_000 }, pace, 0, 0);
    lane.slots.add({ slotsFromMs: 3_000, slotsUntilMs: 3_100, databaseNowMs: 1_000 }, pace, 0, 0);
    clock.at = 500;
    expect(lane.slots.nextAt()).toBe(2_000);
  });

  test("stamps a call by the database's clock, rather too early than too late", () => {
    const { clock, lane } = openLane();
    lane.slots.add({ slotsFromMs: 5_000, slotsUntilMs: 5_100, databaseNowMs: 5_000 }, pace, 100, 140);
    clock.at = 150;
    expect(lane.slots.take().askedAtMs).toBe(5_010);
  });

  test("wakes all who wait for the end of a call, once", async () => {
    const { lane } = openLane();
    const end = lane.calls.start();
    lane.calls.start();
    const waiting = [lane.calls.nextEnd(), lane.calls.nextEnd()];
    end();
    await Promise.all(waiting);
    expect(lane.calls.inFlight).toBe(1);
  });

  test("knows how long answers take, the latest ones counting most", () => {
    const { clock, lane } = openLane();
    expect(lane.calls.meanLatencyMs).toBeUndefined();
    const answerIn = (ms: number) => {
      const end = lane.calls.start();
      clock.at += ms;
      end();
    };
    answerIn(100);
    expect(lane.calls.meanLatencyMs).toBe(100);
    for (let calls = 0; calls < 200; calls += 1) answerIn(3_000);
    expect(lane.calls.meanLatencyMs).toBeCloseTo(3_000, 0);
  });

  test("may send when everybody who has paused it has resumed it", async () => {
    const { lane } = openLane();
    expect(lane.whenResumed()).toBeUndefined();
    lane.pauseCalls();
    lane.pauseCalls();
    lane.resumeCalls();
    const resumed = lane.whenResumed();
    expect(resumed).toBeDefined();
    lane.resumeCalls();
    await resumed;
    expect(lane.whenResumed()).toBeUndefined();
  });

  test("has another id in each process", () => {
    expect(openLane().lane.id).not.toBe(openLane().lane.id);
  });
});

test("a clock relation encloses the truth, wherever in the statement the database read its clock", () => {
  const lag = fc.double({ min: 0, max: 5_000, noNaN: true });
  const offset = fc.integer({ min: -1e9, max: 1e9 });
  fc.assert(
    fc.property(lag, lag, lag, offset, (there, back, later, offsetMs) => {
      const readAt = 1_000 + there;
      const receivedAt = readAt + back;
      const clocks = relateClocks(readAt + offsetMs, 1_000, receivedAt);
      const local = receivedAt + later;
      const truth = local + offsetMs;
      const tiny = 1e-5;
      expect(clocks.atLeast(local)).toBeLessThanOrEqual(truth + tiny);
      expect(clocks.atMost(local)).toBeGreaterThanOrEqual(truth - tiny);
      expect(clocks.surelyAfter(truth)).toBeGreaterThanOrEqual(local - tiny);
    }),
  );
});
