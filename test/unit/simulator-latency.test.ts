import { expect, test } from "vitest";
import { drawLatencyMs } from "../../src/simulator/world/latency.ts";
import { createRandom } from "../../src/simulator/outcomes/random.ts";

const latency = { latencyMs: 120, latencySpread: 0.35, tailShare: 0.02, tailLatencyMs: 2000 };

function draw(count: number, seed: number): number[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => drawLatencyMs(latency, random)).sort((a, b) => a - b);
}

test("latencies lie around the median and have a tail", () => {
  const drawn = draw(20_000, 1);
  expect(drawn[10_000]).toBeGreaterThan(114);
  expect(drawn[10_000]).toBeLessThan(126);
  expect(drawn[0]).toBeGreaterThan(10);
  expect(drawn.at(-50)).toBeGreaterThan(2000);
  expect(drawn.at(-1)).toBeLessThanOrEqual(60_000);
});

test("the same seed draws the same latencies, another seed others", () => {
  expect(draw(50, 7)).toEqual(draw(50, 7));
  expect(draw(50, 7)).not.toEqual(draw(50, 8));
});

test("a median of 0 turns latency off, tail included", () => {
  expect(drawLatencyMs({ ...latency, latencyMs: 0, tailShare: 1 }, createRandom(1))).toBe(0);
});
