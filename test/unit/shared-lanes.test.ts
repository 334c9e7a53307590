import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { initialMarginMs, leastMarginMs } from "../../src/domain/pace/refusal-constants.ts";
import { anyWorld, toWorlds } from "../support/lane-scripts.ts";
import { simulateLanes, type ProcessScript, type Sabotage, type Turn } from "../support/lane-world.ts";
import type { Lag } from "../support/lease-row.ts";
import { findOverfullSecond } from "../support/sliding-second.ts";

const marginMs = 12;
const prompt: Lag = { there: 1, inside: 1, back: 1, isClockReadFirst: false, fate: "answered" };
const punctual = { retryMs: 10, lateness: [0], connecting: [0], idleMs: 0, restMs: 0 };
const toTurn = (calls: number, turn: Partial<Turn> = {}): Turn => ({ ...punctual, calls, ...turn });
const toProcess = (turns: Turn[], process: Partial<ProcessScript> = {}): ProcessScript => ({
  clockOffsetMs: 12_345,
  drift: 0,
  lags: [prompt],
  turns,
  ...process,
});

/** A second with more calls than the rate; undefined: there is none. */
const findExcess = (left: readonly number[], rate: number) =>
  findOverfullSecond(left, Math.max(1, Math.floor(rate)));

describe("processes that share an instance", () => {
  // The same in test/long, for some tens of thousands of worlds.
  test("put no more calls into any sliding second than the rate, whatever happens", async () => {
    await fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        expect(findExcess(await simulateLanes(world), world.pace.requestsPerSecond)).toBeUndefined();
      }),
      { numRuns: 150 },
    );
  });

  test("keep the rate although each call of one leaves 40 ms late, as its connection opens", async () => {
    const left = await simulateLanes({
      pace: { requestsPerSecond: 50, marginMs },
      processes: [
        toProcess([toTurn(36)]),
        toProcess([toTurn(4, { connecting: [40], idleMs: 60 }), toTurn(15)]),
        toProcess([toTurn(1, { restMs: 30 })]),
      ],
      faults: [],
    });
    expect(left).toHaveLength(56);
    expect(findExcess(left, 50)).toBeUndefined();
  });

  test.each([-7_200_000, -1_000, 1_000, 7_200_000])(
    "keep it where the database's clock is set by %i ms before a hand-over that another one already waits for",
    async (byMs) => {
      const lags = [{ ...prompt, there: 1_380 }, ...Array.from({ length: 500 }, () => prompt)];
      const left = await simulateLanes({
        pace: { requestsPerSecond: 10, marginMs },
        processes: [toProcess([toTurn(14)]), toProcess([toTurn(10)], { lags })],
        faults: [{ kind: "clock", afterMs: 1_200, byMs }],
      });
      expect(left).toHaveLength(24);
      expect(findExcess(left, 10)).toBeUndefined();
    },
  );

  test("let a call leave no more that its process slept over, when another one has the lease", async () => {
    const left = await simulateLanes({
      pace: { requestsPerSecond: 10, marginMs },
      processes: [toProcess([toTurn(5), toTurn(5)]), toProcess([toTurn(100)])],
      faults: [{ kind: "stall", afterMs: 350, process: 0, ms: 9_000 }],
    });
    expect(findExcess(left, 10)).toBeUndefined();
    // The sleeper could not send its fifth call.
    expect(left.length).toBeGreaterThanOrEqual(104);
    expect(left.length).toBeLessThan(110);
  });

  test("go on some seconds after one was killed, and keep the rate", async () => {
    const left = await simulateLanes({
      pace: { requestsPerSecond: 10, marginMs },
      processes: [toProcess([toTurn(1_000)]), toProcess([toTurn(50)])],
      faults: [{ kind: "kill", afterMs: 2_000, process: 0, ms: 100_000 }],
      longestMs: 20_000,
    });
    expect(findExcess(left, 10)).toBeUndefined();
    const gaps = left.slice(1).map((at, index) => at - (left[index] ?? 0));
    expect(left.length).toBeGreaterThan(60);
    expect(Math.max(...gaps)).toBeGreaterThan(4_000);
    expect(Math.max(...gaps)).toBeLessThan(8_000);
  });
});

const leavesNothing: Sabotage["ledger"] = (ledger) => ({
  ...ledger,
  handOver: (owner, lease) => ledger.handOver(owner, { ...lease, recentAgesMs: [], nextCallInMs: 0 }),
});

/** Renewals that are answered, but were never written: the row shows a dead lease. */
const renewsNothing: Sabotage["ledger"] = (ledger) => ({
  ...ledger,
  renewLeases: async (_owner, held) => ({
    databaseNowMs: 0,
    leases: held.map(({ instanceId }) => ({
      instanceId,
      kind: "renewed",
      refusal: undefined,
      instance: {
        apiUrl: "http://x",
        sealedToken: "sealed",
        requestsPerSecond: 10,
        marginMs,
        maxInFlight: undefined,
        probing: false,
        heldKind: undefined,
        allowedChatIds: undefined,
        interactiveOnly: false,
      },
    })),
  }),
});

describe("the rate would be exceeded", () => {
  test.each<[string, Sabotage]>([
    ["if a lease left nothing to the next one", { ledger: leavesNothing }],
    ["if calls did not ask whether they may leave", { ignoresMayLeave: true }],
    ["if a process believed in renewals that no other one sees", { ledger: renewsNothing }],
  ])("%s", async (_, sabotage) => {
    const found = await fc.check(
      fc.asyncProperty(toWorlds(10), async (world) => {
        expect(findExcess(await simulateLanes(world, sabotage), 10)).toBeUndefined();
      }),
      { numRuns: 1_000, seed: 3, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  });
});

/** The share of the rate that was used, between the first and the last call. */
const shareOf = (left: readonly number[], rate: number) =>
  (left.length - 1) / (((left.at(-1) ?? 0) - (left[0] ?? 0)) / 1000) / rate;

describe("punctual processes use 99 % of the rate", () => {
  const rates = [1, 3, 10, 50, 1_000];

  test.each(rates)("at %i calls a second", async (rate) => {
    const left = await simulateLanes({
      pace: { requestsPerSecond: rate, marginMs: initialMarginMs },
      processes: [toProcess([toTurn(rate * 30)])],
      faults: [],
    });
    expect(left).toHaveLength(rate * 30);
    expect(shareOf(left, rate)).toBeGreaterThanOrEqual(0.99);
  });

  // The margin is as small as it is after some minutes of calls without a refusal.
  test.each(rates)("at %i calls a second with a hand-over every 30 seconds", async (rate) => {
    const turns = Array.from({ length: 2 }, () => toTurn(rate * 30, { restMs: 1_000 }));
    const left = await simulateLanes({
      pace: { requestsPerSecond: rate, marginMs: leastMarginMs },
      processes: [toProcess(turns), toProcess(turns, { clockOffsetMs: -99 })],
      faults: [],
      longestMs: 150_000,
    });
    expect(left).toHaveLength(rate * 120);
    expect(shareOf(left, rate)).toBeGreaterThanOrEqual(0.99);
    expect(findExcess(left, rate)).toBeUndefined();
  });
});
