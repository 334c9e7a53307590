import { describe, expect, test } from "vitest";
import { toRetryDelayMs } from "../../src/client/http/retry-timing.ts";

describe("toRetryDelayMs", () => {
  test.each([
    [1, 500],
    [2, 1_000],
    [3, 2_000],
    [7, 30_000],
    [2_000, 30_000],
  ])("after %i failures is random below %i ms", (failures, ceilingMs) => {
    expect(toRetryDelayMs(failures, undefined, () => 0)).toBe(0);
    expect(toRetryDelayMs(failures, undefined, () => 0.999)).toBeCloseTo(0.999 * ceilingMs);
  });

  test("is never shorter than what the server asks for, and somewhat longer by chance", () => {
    expect(toRetryDelayMs(1, 3_000, () => 0)).toBe(3_000);
    expect(toRetryDelayMs(1, 3_000, () => 0.8)).toBe(3_100);
    expect(toRetryDelayMs(1, 60_000, () => 0)).toBe(60_000);
  });

  test("is none where the server asks for more than a minute", () => {
    expect(toRetryDelayMs(1, 60_001, () => 0)).toBeUndefined();
  });
});
