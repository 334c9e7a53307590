import fc from "fast-check";
import { expect, test } from "vitest";
import type { Claim } from "../../src/domain/lookup/claim.ts";
import { findBeginAt } from "../../src/worker/run/claim-ahead.ts";

function toClaim(contacts: number, requestsPerSecond: number, probing = false): Claim {
  return {
    instance: { requestsPerSecond, probing } as Claim["instance"],
    contacts: Array.from({ length: contacts }, () => ({}) as Claim["contacts"][number]),
    slotsFromMs: 0,
    slotsUntilMs: 0,
    databaseNowMs: 0,
  };
}

test.each([
  ["a tenth of a second before the end", toClaim(30, 50), 4, 25],
  ["three times as early as the ledger takes to answer", toClaim(30, 50), 100, 15],
  ["with the first contact where the ledger is slower than the claim is long", toClaim(30, 50), 1_000, 0],
  ["before the last contact at a slow rate", toClaim(2, 2), 4, 1],
  ["only after a lone contact", toClaim(1, 50), 4, undefined],
  ["only after a probe", toClaim(2, 50, true), 4, undefined],
])("the next claim begins %s", (_, claim, takesMs, place) => {
  expect(findBeginAt(claim, takesMs)).toBe(place);
});

test("the next claim begins in time for its answer, or with the first contact", () => {
  const counts = fc.integer({ min: 2, max: 500 });
  const rates = fc.double({ min: 0.1, max: 1_000, noNaN: true });
  fc.assert(
    fc.property(counts, rates, fc.nat(2_000), (count, rate, takesMs) => {
      const place = findBeginAt(toClaim(count, rate), takesMs) ?? Number.NaN;
      expect(place).toBeGreaterThanOrEqual(0);
      expect(place).toBeLessThan(count);
      const leftMs = ((count - place) * 1000) / rate;
      expect(place === 0 || leftMs >= 3 * takesMs).toBe(true);
    }),
  );
});
