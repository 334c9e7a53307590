import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { drainMs, type DrainFacts } from "../../src/domain/pace/drain-time.ts";

const working: DrainFacts = {
  state: "active",
  backlog: 1_000,
  workers: 1,
  requestsPerSecond: 10,
  callsPerSecond: 0,
  maxInFlight: undefined,
  latencyMs: undefined,
  waitMs: 0,
};

describe("the time until nobody waits", () => {
  test.each<[string, Partial<DrainFacts>, number | undefined]>([
    ["goes by the rate before anything is measured", {}, 100_000],
    ["goes by what is really reached", { callsPerSecond: 5 }, 200_000],
    ["does not hope for more than the rate", { callsPerSecond: 12 }, 100_000],
    ["does not take a trickle of calls for what can be reached", { callsPerSecond: 0.9 }, 100_000],
    ["goes by what the calls in flight leave of the pace", { maxInFlight: 4, latencyMs: 2_000 }, 500_000],
    ["counts the wait that the provider asks for", { waitMs: 60_000 }, 160_000],
    ["is nothing where nobody waits", { backlog: 0, state: "paused", workers: 0 }, 0],
    ["is unknown while the instance is held", { state: "held" }, undefined],
    ["is unknown while it is paused", { state: "paused" }, undefined],
    ["is unknown where nobody works", { workers: 0 }, undefined],
  ])("%s", (_name, facts, expected) => {
    expect(drainMs({ ...working, ...facts }, 0)).toBe(expected);
  });

  const anyFacts = fc.record({
    state: fc.constant("active" as const),
    backlog: fc.integer({ min: 1, max: 10_000_000 }),
    workers: fc.integer({ min: 1, max: 10 }),
    requestsPerSecond: fc.double({ min: 0.1, max: 10_000, noNaN: true }),
    callsPerSecond: fc.oneof(fc.constant(0), fc.double({ min: 0.1, max: 10_000, noNaN: true })),
    maxInFlight: fc.option(fc.integer({ min: 1, max: 1_000 }), { nil: undefined }),
    latencyMs: fc.option(fc.double({ min: 1, max: 70_000, noNaN: true }), { nil: undefined }),
    waitMs: fc.nat(100_000),
  });

  test("is never shorter than the rate allows, and grows with who waits", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const ms = drainMs(facts, 0) ?? Number.NaN;
        expect(ms).toBeGreaterThanOrEqual((1000 * facts.backlog) / facts.requestsPerSecond);
        expect(drainMs({ ...facts, backlog: facts.backlog + 1 }, 0)).toBeGreaterThanOrEqual(ms);
        expect(Number.isFinite(ms)).toBe(true);
      }),
    );
  });
});
