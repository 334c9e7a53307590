import fc from "fast-check";
import { expect, test } from "vitest";
import { createRateGate } from "../../src/lib/rate-gate.ts";

test("a rate gate opens for the first, and then at most once per interval", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3_000), { minLength: 1, maxLength: 200 }), (pauses) => {
      let now = 0;
      const mayReport = createRateGate(1_000, () => now);
      const open: number[] = [];
      const shut: number[] = [];
      for (const pause of pauses) {
        now += pause;
        (mayReport() ? open : shut).push(now);
      }
      expect(open[0]).toBe(pauses[0]);
      const gaps = open.slice(1).map((at, index) => at - (open[index] ?? 0));
      expect(Math.min(1_000, ...gaps)).toBe(1_000);
      // It is shut only for an interval after it has opened.
      for (const at of shut) expect(open.some((opened) => opened <= at && at < opened + 1_000)).toBe(true);
    }),
  );
});
