import fc from "fast-check";
import { expect, test } from "vitest";
import { anyWorld } from "../support/lane-scripts.ts";
import { simulateLanes } from "../support/lane-world.ts";
import { findOverfullSecond } from "../support/sliding-second.ts";

/** Worlds per seed. */
const worlds = 2_000;
/** Half an hour: a ceiling against hangs. */
const ceilingMs = 1_800_000;

// As in test/unit/shared-lanes.test.ts, for many more worlds.
test.each([11, 12, 13, 21, 22])(
  "processes put no more calls into any sliding second than the rate, in 10,000 worlds from seed %i",
  async (seed) => {
    let calls = 0;
    await fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        const left = await simulateLanes(world);
        calls += left.length;
        const rate = Math.max(1, Math.floor(world.pace.requestsPerSecond));
        expect(findOverfullSecond(left, rate)).toBeUndefined();
      }),
      { numRuns: worlds, seed },
    );
    expect(calls).toBeGreaterThan(100 * worlds);
  },
  ceilingMs,
);
