import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultMaxInFlight } from "../../src/domain/pace/max-in-flight.ts";

test.each([
  [0.1, undefined, 10],
  [1, undefined, 10],
  [2.55, 300, 26],
  [10, undefined, 100],
  [10, 300, 100],
  [10, 7_200, 144],
  [10, 70_000, 1_400],
  [10, 700_000, 2_000],
  [1000, undefined, 2_000],
])("at %d a second and answers that take %d ms at most %i calls are in flight", (rate, latencyMs, calls) => {
  expect(defaultMaxInFlight(rate, latencyMs)).toBe(calls);
});

test("the default limit is a whole number of at least 10 that keeps the rate whatever the latency, up to its cap", () => {
  const rate = fc.double({ min: 0.001, max: 10_000, noNaN: true });
  const latencyMs = fc.double({ min: 0, max: 80_000, noNaN: true });
  fc.assert(
    fc.property(rate, latencyMs, (requestsPerSecond, meanMs) => {
      const limit = defaultMaxInFlight(requestsPerSecond, meanMs);
      expect(Number.isInteger(limit)).toBe(true);
      expect(limit).toBeGreaterThanOrEqual(
        Math.min(2_000, Math.max(10, (requestsPerSecond * meanMs) / 1000)),
      );
      expect(limit).toBeLessThanOrEqual(2_000);
    }),
  );
});

test("one call in ten that takes 70 s does not lower the rate, neither before its end is seen nor afterwards", () => {
  const slowInFlight = (10 / 10) * 70;
  expect(defaultMaxInFlight(10, undefined)).toBeGreaterThan(slowInFlight + 10);
  expect(defaultMaxInFlight(10, 0.1 * 70_000 + 0.9 * 300)).toBeGreaterThan(slowInFlight + 10);
});
