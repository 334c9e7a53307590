import { expect, test } from "vitest";

import { parseRetryAfter } from "../../src/lib/retry-after.ts";

const now = new Date("2026-08-01T00:00:00Z");
const hourMs = 3_600_000;

test.each<[string | string[] | undefined, number | undefined]>([
  ["0", 0],
  ["5", 5_000],
  [" 5 ", 5_000],
  ["1.5", 1_500],
  [["2", "9"], 2_000],
  ["86400", hourMs],
  ["9".repeat(400), hourMs],
  ["Sat, 01 Aug 2026 00:00:30 GMT", 30_000],
  ["sat, 01 aug 2026 00:00:30 gmt", 30_000],
  ["Saturday, 01-Aug-26 00:00:30 GMT", 30_000],
  ["Fri, 31 Jul 2026 23:59:00 GMT", 0],
  ["Sun, 01 Aug 2032 00:00:00 GMT", hourMs],
  ["-5", undefined],
  ["", undefined],
  ["soon", undefined],
  ["1e3", undefined],
  ["5 seconds", undefined],
  ["Sat, some day GMT", undefined],
  ["2026-08-01", undefined],
  [[], undefined],
  [undefined, undefined],
])("Retry-After %j is %j ms", (header, waitMs) => {
  expect(parseRetryAfter(header, now)).toBe(waitMs);
});
