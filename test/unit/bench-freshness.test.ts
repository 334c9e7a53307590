import { beforeAll, describe, expect, test } from "vitest";
import { compareSchedules, type Outcomes } from "../../bench/freshness/compare.ts";
import { createHighestFirst } from "../../bench/freshness/highest-first.ts";
import { knowRates } from "../../bench/freshness/known-rates.ts";
import { drawRates, mixes } from "../../bench/freshness/mix.ts";
import { takeImageAt } from "../../bench/freshness/image-moments.ts";
import { compareMonth } from "../../bench/freshness/month.ts";
import { findBestIntervals, findBestRandomRates } from "../../bench/freshness/optimum.ts";
import { createRoundRobin } from "../../bench/freshness/round-robin.ts";
import { importDays, simulate, ticksPerDay, type Schedule } from "../../bench/freshness/simulate.ts";
import { worthOfLook } from "../../bench/freshness/worth.ts";

const [mix] = mixes;
const contacts = 2_000;
const bounds = [0, 20, 40];
const seed = 1;

describe("calls for a tenth of the contacts a day", () => {
  let outcomes: Outcomes;

  beforeAll(async () => {
    outcomes = await compareSchedules({ mix, contacts, seed, bounds }, [
      "roundRobin",
      "policy",
      "knownRates",
      "knownMix",
    ]);
  });

  const freshness = (name: keyof Outcomes) => outcomes[name]?.[1]?.freshness ?? Number.NaN;

  test("keep more avatars right by this policy than by round robin", () => {
    expect(freshness("policy")).toBeGreaterThan(freshness("roundRobin") + 0.01);
  });

  test("keep still more right with known rates", () => {
    expect(freshness("knownRates")).toBeGreaterThan(freshness("policy") + 0.005);
  });

  test("do about as well by this policy as by one that knows the mix", () => {
    expect(Math.abs(freshness("knownMix") - freshness("policy"))).toBeLessThan(0.003);
  });

  test("are all made, by each schedule", () => {
    for (const figures of Object.values(outcomes))
      expect(figures.map(({ calls }) => calls)).toEqual([4_000, 4_000]);
  });

  test("give the same figures again with the same seed", async () => {
    const again = await compareSchedules({ mix, contacts, seed, bounds }, ["policy"]);
    expect(again.policy).toEqual(outcomes.policy);
  });
});

describe("a month of pictures", () => {
  const month = { mix, contacts: 2_000, seed, days: 15 };

  test("shows none dead by images, and half of them by URLs where calls do not suffice", async () => {
    const [ample, scarce] = await compareMonth(month);
    for (const outcome of [ample, scarce]) {
      expect(outcome?.withoutUrls).toMatchObject({ missing: 0, callsForUrls: 0 });
      expect(outcome?.withoutUrls.behind).toBeLessThan(0.001);
    }
    expect(scarce?.withUrls.expired).toBeGreaterThan(0.4);
    expect(scarce?.withoutUrls.expired).toBeGreaterThan(0.4);
    // Enough calls keep all URLs alive, at more than half as many again.
    expect(ample?.withUrls.expired).toBeLessThan(0.001);
    expect(ample?.withUrls.calls).toBeGreaterThan(1.5 * (ample?.withoutUrls.calls ?? Infinity));
  });

  test("an image is taken soon after its answer, and never after its URL has died", () => {
    const moments = Array.from({ length: 5_000 }, (_, contact) => {
      const at = contact % 168;
      return { at, takenAt: takeImageAt(seed, contact, { at, urlExpiresAt: at + 48 }) };
    });
    // The host is away for 6 hours, then no try waits for more than 6, and one in 20 fails.
    expect(moments.every(({ at, takenAt }) => takenAt > at && takenAt < at + 24)).toBe(true);
    expect(moments.filter(({ at, takenAt }) => takenAt > at + 0.1).length).toBeLessThan(300);
    expect(takeImageAt(seed, 1, { at: 100, urlExpiresAt: 105 })).toBe(Infinity);
  });
});

test("round robin is as fresh as its formula says", () => {
  const rates = drawRates(mix, contacts, seed);
  const [figures] = simulate({ rates, seed }, createRoundRobin(contacts), [0, 300]);
  const expected = rates.map((rate) => (1 - Math.exp(-rate * importDays)) / (rate * importDays));
  expect(figures?.freshness).toBeCloseTo(expected.reduce((sum, share) => sum + share) / contacts, 2.5);
});

test("the optimum of even intervals is above that of random moments, and greedy looks come near it", () => {
  const rates = drawRates(mix, contacts, seed);
  const fixed = findBestIntervals(rates, contacts / importDays);
  expect(fixed).toBeGreaterThan(findBestRandomRates(rates, contacts / importDays) + 0.01);
  const schedule = createHighestFirst(contacts, (importDays + 150) * ticksPerDay, knowRates(rates));
  const [, figures] = simulate({ rates, seed }, schedule, [0, 50, 150]);
  expect(Math.abs((figures?.freshness ?? 0) - fixed)).toBeLessThan(0.003);
});

test("letting contacts sleep changes nothing of who is worth most", () => {
  const rates = drawRates(mix, 500, seed);
  const days = 15;
  const schedule = createHighestFirst(rates.length, (importDays + days) * ticksPerDay, knowRates(rates));
  const world = { rates, seed };
  const [figures] = simulate(world, schedule, [0, days]);
  expect(figures).toEqual(simulate(world, createFullComparison(rates), [0, days])[0]);
});

/** The same without any cleverness. */
function createFullComparison(rates: Float64Array): Schedule {
  const lookedAt = new Int32Array(rates.length);
  return {
    choose(at, calls) {
      const worths = Array.from(lookedAt, (last, contact) => ({
        contact,
        worth: worthOfLook(rates[contact] ?? 0, (at - last) / ticksPerDay),
      }));
      return worths
        .sort((a, b) => b.worth - a.worth)
        .slice(0, calls)
        .map(({ contact }) => contact);
    },
    looked({ contact, at }) {
      lookedAt[contact] = at;
    },
  };
}
