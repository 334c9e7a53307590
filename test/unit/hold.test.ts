import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explainHold, holdFor, holdForState, holdReasons, toHold } from "../../src/domain/trouble/hold.ts";
import type { InstanceOutcome } from "../../src/domain/outcome.ts";
import { toChatId } from "../support/ledger.ts";
import { instanceOutcomes } from "../support/outcomes.ts";

const now = new Date("2026-08-15T12:00:00Z");
const quota: InstanceOutcome = {
  kind: "quota-exhausted",
  scope: "instance",
  quota: "method",
  allowedChatIds: [],
};
const correspondents: InstanceOutcome = { ...quota, quota: "correspondents", allowedChatIds: [toChatId(1)] };
const policy = { probeBaseMs: 15_000, probeMaxMs: 600_000 };

describe("a spent quota", () => {
  test.each([
    ["2026-08-15T12:00:00Z", "2026-09-01T00:00:00Z"],
    ["2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"],
    ["2026-12-01T01:00:00Z", "2027-01-01T00:00:00Z"],
    ["2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z"],
    ["2026-09-01T01:00:00Z", "2026-10-01T00:00:00Z"],
    // Already September, but not yet in UTC.
    ["2026-09-01T01:30:00+03:00", "2026-09-01T00:00:00Z"],
  ])("seen at %s holds until %s", (seenAt, until) => {
    const at = new Date(seenAt);
    const { baseMs, maxMs } = holdFor(quota, at, policy);
    expect(new Date(at.getTime() + baseMs)).toEqual(new Date(until));
    expect(maxMs).toBe(baseMs);
  });

  test.each(["2026-09-01T00:00:00Z", "2026-09-01T00:59:59Z", "2027-01-01T03:30:00+03:00"])(
    "seen at %s may be the last month's, not yet reset: it is probed like any trouble",
    (seenAt) =>
      expect(holdFor(quota, new Date(seenAt), policy)).toMatchObject({ baseMs: 15_000, maxMs: 600_000 }),
  );

  test("of correspondents leaves the chats that the provider has named", () => {
    const hold = holdFor(correspondents, now, policy);
    expect(hold).toMatchObject({ reason: "correspondents-exhausted", allowedChatIds: [toChatId(1)] });
    expect(hold.baseMs).toBe(holdFor(quota, now, policy).baseMs);
    expect(holdFor(quota, now, policy)).not.toHaveProperty("allowedChatIds");
  });

  test("always holds until the next first of a month, 00:00 UTC", () => {
    const moments = fc.date({
      min: new Date("2024-01-01T00:00:00Z"),
      max: new Date("2100-01-01T00:00:00Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(moments, (at) => {
        fc.pre(at.getUTCDate() > 1 || at.getUTCHours() > 0);
        const until = new Date(at.getTime() + holdFor(quota, at, policy).baseMs);
        expect(until.toISOString()).toMatch(/-01T00:00:00\.000Z$/);
        const monthsAhead =
          (until.getUTCFullYear() - at.getUTCFullYear()) * 12 + until.getUTCMonth() - at.getUTCMonth();
        expect(monthsAhead).toBe(1);
      }),
    );
  });
});

test("all others wait for the first interval between probes, up to the longest", () => {
  for (const outcome of instanceOutcomes) {
    if (outcome.kind === "quota-exhausted") continue;
    expect(holdFor(outcome, now, policy)).toMatchObject({
      reason: outcome.kind,
      baseMs: 15_000,
      maxMs: 600_000,
    });
  }
});

test("a longest interval that is shorter than the first one is as long as that", () => {
  expect(toHold("failing", { probeBaseMs: 1_000, probeMaxMs: 1 })).toMatchObject({
    baseMs: 1_000,
    maxMs: 1_000,
  });
});

test.each([
  ["starting", "waits", "starting"],
  ["sleepMode", "waits", "starting"],
  ["notAuthorized", "needs-person", "not-authorized"],
  ["pendingCode", "needs-person", "not-authorized"],
  ["blocked", "needs-person", "blocked"],
] as const)("an instance in the state %s is held as %s: %s", (state, verdict, reason) => {
  expect(holdForState(state, verdict, policy)).toMatchObject({ reason });
});

test("a refused token is told with its HTTP status", () => {
  expect(holdFor({ kind: "unauthorized", scope: "instance", status: 403 }, now, policy).text).toContain(
    "(HTTP 403)",
  );
});

test("every reason is explained, and those where waiting does not help say what to do", () => {
  const withoutAdvice = holdReasons.filter((reason) => {
    const { text, advice } = explainHold(reason);
    expect(text.length).toBeGreaterThan(10);
    return advice === undefined;
  });
  expect(withoutAdvice).toEqual([
    "starting",
    "failing",
    "timing-out",
    "users-timing-out",
    "groups-timing-out",
    "lids-timing-out",
    "throttled",
  ]);
  expect(explainHold("of a later version")).toEqual({ text: "of a later version", advice: undefined });
});
