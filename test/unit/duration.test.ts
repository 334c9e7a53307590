import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDurationMs } from "../../src/lib/duration.ts";

describe("parseDurationMs", () => {
  test.each([
    ["0", 0],
    ["90", 90_000],
    ["500ms", 500],
    ["1.5h", 5_400_000],
    ["30 m", 1_800_000],
    [" 7D ", 604_800_000],
    ["2w", 1_209_600_000],
    ["36600d", 3_162_240_000_000],
  ])("reads %j", (text, ms) => {
    expect(parseDurationMs(text, "--max-age")).toBe(ms);
  });

  test.each(["", "d", "-1d", "7 days", "1e3", "1d2h", "٧d", "Infinity", "NaN", "36601d", "1d;", "0x10"])(
    "refuses %j, naming what it is for",
    (text) => {
      expect(() => parseDurationMs(text, "--max-age")).toThrow(
        expect.objectContaining({
          code: "invalid-duration",
          message: expect.stringContaining(`--max-age: "${text}" is no duration`),
        }),
      );
    },
  );

  test("takes any text for a finite wait of at most a century, or refuses it", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        let ms: number;
        try {
          ms = parseDurationMs(text, "x");
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid-duration" });
          return;
        }
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(100 * 366 * 86_400_000);
      }),
    );
  });
});

test.each([
  [0, "0 s"],
  [-5, "0 s"],
  [499, "0 s"],
  [59_499, "59 s"],
  [59_500, "1 min 0 s"],
  [3_599_000, "59 min 59 s"],
  [7_500_000, "2 h 5 min"],
  [86_400_000, "1 d 0 h"],
  [90_000_000, "1 d 1 h"],
])("formatDuration(%i) is %j", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
