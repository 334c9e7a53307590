import fc from "fast-check";
import { expect, test } from "vitest";
import { Limiter } from "../../src/simulator/world/limiter.ts";

/** Ascending moments in ms, in bursts and at leisure, with many exactly 1000 ms apart. */
const moments = fc
  .array(fc.oneof(fc.constantFrom(0, 1, 100, 500, 1000), fc.double({ min: 0, max: 1500, noNaN: true })), {
    maxLength: 300,
  })
  .map((gaps) => {
    let nowMs = 0;
    return gaps.map((gapMs) => (nowMs += gapMs));
  });

test("no second holds more accepted calls than the rate, and no call is refused without that many before it", () => {
  fc.assert(
    fc.property(moments, fc.integer({ min: 0, max: 12 }), (arrivals, rate) => {
      const limiter = new Limiter();
      const accepted: number[] = [];
      for (const nowMs of arrivals) {
        const before = accepted.filter((at) => nowMs - at < 1000).length;
        const taken = limiter.take(nowMs, rate);
        expect(taken).toBe(before < rate);
        if (taken) accepted.push(nowMs);
      }
      expect(limiter.calls).toBe(arrivals.length);
      expect(limiter.refused).toBe(arrivals.length - accepted.length);
    }),
  );
});

test("the busiest second counts refused calls too, and forgets nothing in a long run", () => {
  const limiter = new Limiter();
  for (let call = 0; call < 5000; call += 1) limiter.take(call * 100, 5);
  expect(limiter).toMatchObject({ calls: 5000, refused: 2500, maxInAnySecond: 10 });
  limiter.clearCounts();
  expect(limiter.take(500_000, 5)).toBe(true);
  expect(limiter).toMatchObject({ calls: 1, refused: 0, maxInAnySecond: 10 });
});
