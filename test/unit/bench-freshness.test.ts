import { beforeAll, describe, expect, test } from "vitest";
import { compareSchedules, type Outcomes } from "../../bench/freshness/compare.ts";
import { createHighestFirst } from "../../bench/freshness/highest-first.ts";
import { knowRates } from "../../bench/freshness/known-rates.ts";
import { drawRates, mixes } from "../../bench/freshness/mix.ts";
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
