import { describe, expect, test } from "vitest";
import {
  countDoubled,
  countOverBudget,
  countRefused,
  findRecovery,
  toRate,
} from "../../bench/recovery/calls.ts";
import type { LoggedCall } from "../../src/simulator/world/call-log.ts";

function toCall(at: number, more: Partial<LoggedCall> = {}): LoggedCall {
  return {
    index: 0,
    at,
    instanceId: "1101000001",
    method: "getAvatar",
    chatId: `${at}@c.us`,
    status: 200,
    outcome: "present",
    tookMs: 80,
    ...more,
  };
}

/** One call after the other, so many ms apart. */
function toCalls(count: number, everyMs: number, fromMs = 0, more: Partial<LoggedCall> = {}): LoggedCall[] {
  return Array.from({ length: count }, (_, n) => toCall(fromMs + n * everyMs, more));
}

describe("calls over budget", () => {
  test("are none where ten come in each half open second", () => {
    expect(countOverBudget(toCalls(100, 100), 10)).toBe(0);
  });

  test("are all that come when ten came within the second before", () => {
    expect(countOverBudget(toCalls(12, 90), 10)).toBe(2);
    expect(countOverBudget([...toCalls(10, 100), toCall(999.9)], 10)).toBe(1);
  });

  test("are counted with refused ones, and for each instance of its own", () => {
    const refused = toCalls(11, 1, 0, { status: 429 });
    expect(countOverBudget(refused, 10)).toBe(1);
    expect(countRefused(refused)).toBe(11);
    const other = toCalls(10, 1, 0, { instanceId: "1101000002" });
    expect(countOverBudget([...toCalls(10, 1), ...other], 10)).toBe(0);
  });
});

describe("calls made twice", () => {
  test("are those of a chat that was accepted before", () => {
    const calls = [toCall(1, { chatId: "a" }), toCall(2, { chatId: "b" }), toCall(3, { chatId: "a" })];
    expect(countDoubled(calls)).toBe(1);
    expect(countDoubled([toCall(1, { chatId: "a", status: 429 }), toCall(2, { chatId: "a" })])).toBe(0);
    expect(countDoubled([toCall(1), toCall(1, { instanceId: "1101000002" })])).toBe(0);
  });
});

describe("a recovery", () => {
  const slow = toCalls(10, 500);
  const fast = toCalls(40, 100, 5_000);

  test("is the end of the first second at the rate", () => {
    const seconds = findRecovery([...slow, ...fast], { fromMs: 0, untilMs: 9_000, perSecond: 9 });
    expect(seconds).toBeCloseTo(5.9, 5);
  });

  test("is none where the rate is not reached, or by refused calls alone", () => {
    expect(findRecovery(slow, { fromMs: 0, untilMs: 5_000, perSecond: 9 })).toBeUndefined();
    const refused = toCalls(40, 100, 0, { status: 429 });
    expect(findRecovery(refused, { fromMs: 0, untilMs: 4_000, perSecond: 9 })).toBeUndefined();
    expect(toRate(refused, 0, 4_000)).toBe(0);
    expect(toRate(fast, 5_000, 9_000)).toBe(10);
  });
});
