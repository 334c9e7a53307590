import fc from "fast-check";
import { expect, test } from "vitest";
import { createByteCollector } from "../../src/outbound/byte-collector.ts";

const pieces = fc.array(fc.uint8Array({ maxLength: 40_000 }), { maxLength: 6 });

test("what was collected is what was added, up to the limit", () => {
  fc.assert(
    fc.property(pieces, fc.nat({ max: 100_000 }), (added, limit) => {
      const collector = createByteCollector(limit);
      let isWhole = true;
      for (const piece of added) isWhole = collector.add(piece) && isWhole;
      const all = Buffer.concat(added);
      expect(isWhole).toBe(all.length <= limit);
      expect(collector.take().equals(all.subarray(0, limit))).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test("what was taken is left as it is by what comes later", () => {
  const collector = createByteCollector(10);
  collector.add(Buffer.from("abc"));
  const taken = collector.take();
  collector.add(Buffer.from("def"));
  expect(taken.toString()).toBe("abc");
  expect(collector.take().toString()).toBe("abcdef");
});
