import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultMaxInFlight } from "../../src/domain/concurrency.ts";

test.each([
  [0.1, 10],
  [0.5, 10],
  [1, 20],
  [2.55, 51],
  [10, 200],
  [1000, 2000],
])("at %d a second at most %i calls are in flight", (rate, calls) => {
  expect(defaultMaxInFlight(rate)).toBe(calls);
});

test("the default limit is a whole number of at least 10, and never falls as the rate rises", () => {
  const rate = fc.double({ min: 0.001, max: 10_000, noNaN: true });
  fc.assert(
    fc.property(rate, rate, (a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)].map(defaultMaxInFlight);
      expect(Number.isInteger(low)).toBe(true);
      expect(low).toBeGreaterThanOrEqual(10);
      expect(high).toBeGreaterThanOrEqual(low ?? Infinity);
      expect(high).toBeLessThanOrEqual(2_000);
    }),
  );
});
