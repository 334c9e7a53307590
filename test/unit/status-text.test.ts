import { describe, expect, test } from "vitest";
import type { InstanceStatus } from "../../src/domain/views/instance-status.ts";
import { formatStatus } from "../../src/cli/status/status-text.ts";
import { simulatedInstanceId, type InstanceId } from "../../src/domain/instance-id.ts";

const minuteMs = 60_000;

const busy: InstanceStatus = {
  instanceId: "1101000001" as InstanceId,
  state: "active",
  heldReason: undefined,
  heldSince: undefined,
  heldUntil: undefined,
  requestsPerSecond: undefined,
  callsAllowed: 10,
  slowdown: 1,
  marginMs: 12,
  throttledUntil: undefined,
  callsPerDay: undefined,
  callsToday: undefined,
  quietHours: undefined,
  quietInteractive: false,
  timeZone: undefined,
  carePause: undefined,
  workers: 2,
  inFlight: 12,
  callsPerSecond: 9.84,
  recentCalls: 6_000,
  throttledShare: 0.0005,
  latencyMs: 320,
  contacts: {
    present: 1_000_000,
    absent: 20_000,
    hidden: 30_000,
    invalid: 400,
    unreachable: 50,
    unknown: 1_234_567,
  },
  due: 1_234_567,
  waiting: 300,
  claimed: 20,
  oldestDueAt: new Date(Date.now() - 125 * minuteMs),
  etaMs: 34 * 60 * minuteMs,
  nextCallAt: new Date(),
  stalled: false,
};

const show = (change: Partial<InstanceStatus>) => formatStatus([{ ...busy, ...change }]);
const remarkOn = (change: Partial<InstanceStatus>) => show(change).slice(3).join("\n");

describe("avatars status, for people", () => {
  test("has a line per instance that fits a wide terminal, and no remark where all is well", () => {
    const [header, rule, line, ...remarks] = formatStatus([busy]);
    expect(header).toMatch(/^instance +state +due +in flight +calls\/s +429s +oldest +ETA +present +absent/);
    expect(line).toMatch(
      /^1101000001 +active +1234567 +12 +9\.8\/10 +0\.05 % +2 h 5 min +1 d 10 h +1000000 +20000 +30000 +400 +50 +1234567$/,
    );
    for (const text of [header, rule, line]) expect(text?.length).toBeLessThanOrEqual(140);
    expect(remarks).toEqual([]);
  });

  test("leaves out what cannot be told", () => {
    const idle = {
      callsPerSecond: 0,
      throttledShare: undefined,
      oldestDueAt: undefined,
      etaMs: undefined,
      due: 0,
    };
    expect(show(idle)[2]).toMatch(/^1101000001 +active +0 +12 +0\/10 +1000000 /);
  });

  test.each<[string, Partial<InstanceStatus>, RegExp]>([
    [
      "says of a hold why, since when, until when, and what to do",
      {
        state: "held",
        heldReason: "not-authorized",
        heldSince: new Date("2026-01-01T00:00:00Z"),
        heldUntil: new Date(Date.now() + 5 * minuteMs + 400),
      },
      /^1101000001 is held since 2026-01-01T00:00:00.000Z: .*logged out.*; next try \S+Z \(in 5 min 0 s\); scan the QR code/,
    ],
    [
      "says how a pause ends",
      { state: "paused" },
      /^1101000001 is paused: .*avatars instance resume 1101000001$/,
    ],
    [
      "says how long the provider asked to wait",
      { throttledUntil: new Date(Date.now() + 30_400) },
      /^1101000001 is refused .*over the rate: next call \S+Z \(in 30 s\)$/,
    ],
    [
      "says how far an instance is slowed down, and that this ends by itself",
      { slowdown: 0.7, callsAllowed: 7 },
      /^1101000001 is slowed to 7\/s after refusals, and tries more by itself before long$/,
    ],
    ["says that no worker works", { stalled: true }, /no worker works on them: start avatars worker$/],
  ])("%s", (_name, change, expected) => {
    expect(remarkOn(change)).toMatch(expected);
  });

  test("says whose the simulator's instance is, and advises nothing", () => {
    for (const state of ["active", "paused", "held"] as const) {
      const simulated = { state, heldReason: "bad-credentials", stalled: true };
      expect(remarkOn({ ...simulated, instanceId: simulatedInstanceId })).toBe(
        "0000000000 is the built-in simulator's, not GREEN-API's: only enrich --simulate calls it",
      );
    }
  });

  test("tells a beginner how to go on", () => {
    expect(formatStatus([])).toEqual([expect.stringContaining("avatars instance add")]);
  });
});
