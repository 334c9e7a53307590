import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { afterRefusal, type LearnedPace, type NewRefusal } from "../../src/domain/pace/after-refusal.ts";
import { providerRateAt, type ProviderPace } from "../../src/domain/pace/provider-pace.ts";
import {
  firstProbeAfterMs,
  initialMarginMs,
  longestProbeAfterMs,
  mostMarginMs,
  refusalsForHold,
} from "../../src/domain/pace/refusal-constants.ts";
import { simulateProvider, type ProviderWorld, type SimulatedCall } from "../support/provider-world.ts";

const asked = 1e9;
const atFive: ProviderPace = {
  climbRate: 3.5,
  climbFromMs: asked,
  takenRate: 5,
  probeAfterMs: firstProbeAfterMs,
};

describe("the rate that refusals of the provider leave", () => {
  test.each([
    ["before the first one is not bounded", undefined, 0, Infinity],
    ["where nothing was taken doubles each second", { ...atFive, climbRate: 1, takenRate: undefined }, 3, 8],
    ["is climbed to", atFive, 0.25, 3.5 * 2 ** 0.25],
    ["is what was taken", atFive, 1.9, 5],
    ["is one call more at first", atFive, 2, 6],
    ["grows in steps, the first of which is longer", atFive, 3.3, 6],
    ["that are each twice as far", atFive, 3.5, 8],
    ["again", atFive, 4.5, 12],
    ["has steps of a tenth where that is more", { ...atFive, takenRate: 40 }, 2, 44],
    ["does not fall when the clock is set back", atFive, -1_000, 3.5],
    ["stays a number for years", atFive, 1e9, 5 + 2 ** 20 - 1],
  ] as const)("%s", (_name, pace, seconds, rate) => {
    expect(providerRateAt(pace, asked + 1000 * seconds)).toBeCloseTo(rate, 9);
  });

  test("never falls by itself", () => {
    const paces = fc.record({
      climbRate: fc.double({ min: 0.1, max: 100, noNaN: true }),
      climbFromMs: fc.constant(asked),
      level: fc.option(fc.double({ min: 0.1, max: 100, noNaN: true }), { nil: undefined }),
      probeAfterMs: fc.integer({ min: firstProbeAfterMs, max: longestProbeAfterMs }),
    });
    const moments = fc.array(fc.integer({ min: -1_000, max: 100_000 }), { minLength: 2 });
    fc.assert(
      fc.property(paces, moments, ({ level, ...pace }, ms) => {
        const takenRate = level === undefined ? undefined : Math.max(level, pace.climbRate);
        const at = ms.toSorted((a, b) => a - b).map((passed) => asked + passed);
        const rates = at.map((atMs) => providerRateAt({ ...pace, takenRate }, atMs));
        expect(rates).toEqual(rates.toSorted((a, b) => a - b));
      }),
    );
  });
});

const unlearned: LearnedPace = {
  marginMs: initialMarginMs,
  provider: undefined,
  refusedAtMs: undefined,
  refusals: 0,
};
const refusal: NewRefusal = {
  by: "provider",
  askedAtMs: asked,
  nowMs: asked + 40,
  callsAllowed: 10,
  before: { taken: 10, refused: 0, isAnswering: true },
};
/** After a refusal a moment ago. */
const learned: LearnedPace = { ...unlearned, refusedAtMs: asked - 500, refusals: 1 };
const some = { ...refusal, before: { taken: 5, refused: 4, isAnswering: true } };
const none = { ...refusal, before: { taken: 0, refused: 9, isAnswering: false } };

/** A refusal of what was tried beyond the rate that was taken. */
const tries = (probeAfterMs: number, takenRate: number) => {
  const provider = { ...atFive, takenRate, probeAfterMs, climbFromMs: asked - probeAfterMs - 100 };
  const before = { taken: takenRate, refused: 0, isAnswering: true };
  return afterRefusal({ ...learned, provider }, { ...refusal, callsAllowed: takenRate + 1, before }).provider;
};

describe("a refusal", () => {
  test.each([
    ["that is alone", unlearned, some],
    [
      "that is alone, of an instance that was not called before",
      unlearned,
      { ...none, before: { taken: 0, refused: 0, isAnswering: false } },
    ],
    ["before which all was taken", learned, refusal],
  ])("%s widens the margin and leaves the rate", (_name, pace, refused) => {
    const next = afterRefusal(pace, refused);
    expect(next).toMatchObject({
      marginMs: 15,
      provider: undefined,
      refusals: 1,
      refusedAtMs: refused.nowMs,
    });
  });

  test("before which some was taken leaves as much, from a little below, once its calls are answered", () => {
    const { provider, marginMs } = afterRefusal(learned, some);
    expect(provider).toEqual({ ...atFive, climbFromMs: asked + 80 });
    expect(marginMs).toBe(initialMarginMs);
  });

  test("before which nothing was taken halves the pace, to one call a second at least, and forgets the level", () => {
    const pace = { ...learned, provider: { ...atFive, climbFromMs: asked - 1_000 } };
    for (const [callsAllowed, climbRate] of [
      [5, 2.5],
      [1.5, 1],
      [0.5, 0.5],
    ] as const) {
      const next = afterRefusal(pace, { ...none, callsAllowed });
      expect(next.provider).toMatchObject({ climbRate, takenRate: undefined });
      expect(next.refusals).toBe(2);
    }
  });

  test("with the margin at its most takes of the pace", () => {
    const { provider, marginMs } = afterRefusal({ ...learned, marginMs: mostMarginMs }, refusal);
    expect(provider).toMatchObject({ takenRate: 7 });
    expect(marginMs).toBe(mostMarginMs);
  });

  test("of a try goes back to what was taken and doubles the wait, up to the time of a hundred calls", () => {
    expect(tries(2_000, 5)).toMatchObject({ climbRate: 3.5, takenRate: 5, probeAfterMs: 4_000 });
    expect(tries(20_000, 5)).toMatchObject({ probeAfterMs: longestProbeAfterMs });
    expect(tries(90_000, 1)).toMatchObject({ probeAfterMs: 100_000 });
  });

  test("of a try of which some was taken keeps that, and tries more soon", () => {
    const provider = { ...atFive, probeAfterMs: 16_000, climbFromMs: asked - 17_500 };
    const before = { taken: 7, refused: 1, isAnswering: true };
    const next = afterRefusal({ ...learned, provider }, { ...refusal, callsAllowed: 8, before });
    expect(next.provider).toMatchObject({ takenRate: 7, probeAfterMs: firstProbeAfterMs });
  });

  test("long after a try that went well is no failure of it", () => {
    const provider = { ...atFive, climbFromMs: asked - 60_000 };
    const next = afterRefusal({ ...unlearned, refusedAtMs: asked - 60_000, provider }, refusal);
    expect(next).toMatchObject({ marginMs: 15, provider });
  });

  test("counts while nothing is taken in between, and at the slowest pace whatever is", () => {
    const count = (change: Partial<NewRefusal>, pace = learned) =>
      afterRefusal({ ...pace, refusals: 7 }, { ...refusal, ...change }).refusals;
    expect(count(none)).toBe(8);
    expect(count(some)).toBe(1);
    // In flight: not known.
    expect(count({ before: { ...some.before, isAnswering: false } })).toBe(7);
    expect(count({ ...some, callsAllowed: 1 })).toBe(8);
    expect(count({ ...some, by: "whatsapp" })).toBe(8);
    expect(count(none, { ...learned, refusedAtMs: asked - 20_000 })).toBe(1);
  });

  test("by WhatsApp teaches nothing of the provider's rate or of jitter", () => {
    expect(afterRefusal(learned, { ...none, by: "whatsapp" })).toEqual({
      ...learned,
      refusals: 2,
      refusedAtMs: refusal.nowMs,
    });
  });
});

const stormMs = 4_000;
const beginsMs = 5_000;
const endsMs = beginsMs + stormMs;
const isWithin = (fromMs: number, toMs: number) => (call: SimulatedCall) =>
  call.atMs >= fromMs && call.atMs < toMs;
const isRefused = (call: SimulatedCall) => call.isRefused;

/** A provider that allows the rate, but for the storm. */
function storm(rate: number, duringStorm: number, rest: Partial<ProviderWorld> = {}) {
  const allowed = (atMs: number) => (atMs >= beginsMs && atMs < endsMs ? duringStorm : rate);
  return simulateProvider({ rate, allowed, untilMs: endsMs + 20_000, ...rest });
}

const conditions = fc.record({
  rate: fc.integer({ min: 2, max: 100 }),
  refusalMs: fc.integer({ min: 1, max: 500 }),
  readEveryMs: fc.integer({ min: 50, max: 1_000 }),
});

describe("after 4 s in which the provider takes", () => {
  test("nothing, 90 % of the rate is used within 10 s, without a second storm, and no hold is asked for", () => {
    fc.assert(
      fc.property(conditions, ({ rate, ...rest }) => {
        const { calls, heldAtMs } = storm(rate, 0, rest);
        const after = calls.filter(isWithin(endsMs + 10_000, endsMs + 20_000));
        expect(after.length).toBeGreaterThanOrEqual(9 * rate);
        expect(calls.filter(isWithin(endsMs, Infinity)).filter(isRefused).length).toBeLessThanOrEqual(2);
        expect(heldAtMs).toBeUndefined();
      }),
    );
  });

  test("a part of the rate, the same", () => {
    fc.assert(
      fc.property(conditions, fc.double({ min: 0.1, max: 0.9, noNaN: true }), ({ rate, ...rest }, share) => {
        const { calls, heldAtMs } = storm(rate, Math.ceil(rate * share), rest);
        const after = calls.filter(isWithin(endsMs + 10_000, endsMs + 20_000));
        expect(after.length).toBeGreaterThanOrEqual(9 * rate);
        expect(calls.filter(isWithin(endsMs, Infinity)).filter(isRefused).length).toBeLessThanOrEqual(2);
        expect(heldAtMs).toBeUndefined();
      }),
    );
  });
});

describe("with a provider that", () => {
  test("takes less than the rate for good, one call in 50 is refused at most, and most of what it takes is used", () => {
    fc.assert(
      fc.property(conditions, fc.double({ min: 0.1, max: 0.9, noNaN: true }), ({ rate, ...rest }, share) => {
        const allowed = Math.ceil(rate * share);
        const { calls } = simulateProvider({ rate, allowed: () => allowed, untilMs: 600_000, ...rest });
        const later = calls.filter(isWithin(60_000, 600_000));
        // One more: where the first try falls is chance.
        expect(later.filter(isRefused).length).toBeLessThanOrEqual(later.length / 50 + 1);
        expect(later.length).toBeGreaterThanOrEqual(0.9 * allowed * 540);
      }),
      { numRuns: 30 },
    );
  });

  test("refuses a lone call goes on at the rate", () => {
    const unlucky = { isUnlucky: (call: number) => call === 100 };
    const world = { rate: 10, allowed: () => 10, untilMs: 60_000 };
    const { calls, learned: after } = simulateProvider({ ...world, ...unlucky });
    expect(calls.filter(isRefused)).toHaveLength(1);
    expect(after.provider).toBeUndefined();
    expect(calls.length).toBeGreaterThan(0.99 * simulateProvider(world).calls.length);
  });

  test("refuses all for minutes, a hold is asked for within half a minute, after few calls", () => {
    const { calls, heldAtMs } = simulateProvider({ rate: 10, allowed: () => 0, untilMs: 60_000 });
    expect(heldAtMs).toBeLessThan(30_000);
    expect(calls.filter(isWithin(0, heldAtMs ?? 0)).length).toBeLessThan(3 * refusalsForHold);
  });
});
