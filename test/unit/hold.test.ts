import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explainHold, holdFor, holdForUnreadableToken, holdReasons } from "../../src/domain/hold.ts";
import type { InstanceOutcome } from "../../src/domain/outcome.ts";
import { instanceOutcomes } from "../support/outcomes.ts";

const now = new Date("2026-08-15T12:00:00Z");
const quota: InstanceOutcome = {
  kind: "quota-exhausted",
  scope: "instance",
  quota: "method",
  allowedChatIds: [],
};
const throttled = (retryAfterMs: number | undefined): InstanceOutcome => ({
  kind: "throttled",
  scope: "instance",
  retryAfterMs,
  by: "provider",
});

describe("a spent quota", () => {
  test.each([
    ["2026-08-15T12:00:00Z", "2026-09-01T00:00:00Z"],
    ["2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"],
    ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"],
    ["2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z"],
    ["2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z"],
    // Already September, but not yet in UTC.
    ["2026-09-01T01:30:00+03:00", "2026-09-01T00:00:00Z"],
  ])("seen at %s holds until %s", (seenAt, until) => {
    const at = new Date(seenAt);
    const { baseMs, maxMs } = holdFor(quota, at);
    expect(new Date(at.getTime() + baseMs)).toEqual(new Date(until));
    expect(maxMs).toBe(baseMs);
  });

  test("always holds until the next first of a month, 00:00 UTC", () => {
    const moments = fc.date({
      min: new Date("2024-01-01T00:00:00Z"),
      max: new Date("2100-01-01T00:00:00Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(moments, (at) => {
        const until = new Date(at.getTime() + holdFor(quota, at).baseMs);
        expect(until.toISOString()).toMatch(/-01T00:00:00\.000Z$/);
        const monthsAhead =
          (until.getUTCFullYear() - at.getUTCFullYear()) * 12 + until.getUTCMonth() - at.getUTCMonth();
        expect(monthsAhead).toBe(1);
      }),
    );
  });
});

describe("a throttled instance", () => {
  test("waits for a second, up to a minute, where no Retry-After is given", () => {
    expect(holdFor(throttled(undefined), now)).toMatchObject({ baseMs: 1_000, maxMs: 60_000 });
  });

  test("never waits less than Retry-After asks for, nor less than without one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3_600_000 }), (retryAfterMs) => {
        const { baseMs, maxMs } = holdFor(throttled(retryAfterMs), now);
        expect(baseMs).toBe(Math.max(retryAfterMs, 1_000));
        expect(maxMs).toBeGreaterThanOrEqual(baseMs);
      }),
    );
  });
});

test("no hold is so short that doubling it gets nowhere", () => {
  for (const outcome of instanceOutcomes) expect(holdFor(outcome, now).baseMs).toBeGreaterThanOrEqual(1_000);
  expect(holdForUnreadableToken()).toMatchObject({ reason: "token-unreadable", baseMs: 60_000 });
});

test("a refused token is told with its HTTP status", () => {
  expect(holdFor({ kind: "unauthorized", scope: "instance", status: 403 }, now).text).toContain("(HTTP 403)");
});

test("every reason is explained, and those where waiting does not help say what to do", () => {
  const withoutAdvice = holdReasons.filter((reason) => {
    const { text, advice } = explainHold(reason);
    expect(text.length).toBeGreaterThan(10);
    return advice === undefined;
  });
  expect(withoutAdvice).toEqual(["throttled", "starting"]);
  expect(explainHold("of a later version")).toEqual({ text: "of a later version", advice: undefined });
});
