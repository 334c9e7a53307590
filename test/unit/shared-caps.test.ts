import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyWorld } from "../support/lane-scripts.ts";
import {
  simulateLanes,
  type ProcessScript,
  type Sabotage,
  type Turn,
  type WorldScript,
} from "../support/lane-world.ts";
import type { Cap, Lag } from "../support/lease-row.ts";

/** The database's clock is ahead of true time by so much: its days are those that are counted. */
const aheadMs = 1e9;

/** The days with more calls than the cap, and how many; by the database's clock, as they left. */
function findFullDays(left: readonly number[], { callsPerDay, dayMs }: Cap): [number, number][] {
  const calls = new Map<number, number>();
  for (const at of left) {
    const day = Math.floor((at + aheadMs) / dayMs);
    calls.set(day, (calls.get(day) ?? 0) + 1);
  }
  return [...calls].filter(([, count]) => count > callsPerDay);
}

/** Worlds in which all happens but that the database's clock is set: which day a call belongs to is its matter. */
const anyCappedWorld: fc.Arbitrary<WorldScript & { readonly cap: Cap }> = fc
  .record({
    world: anyWorld,
    cap: fc.record({
      callsPerDay: fc.integer({ min: 1, max: 60 }),
      dayMs: fc.integer({ min: 2_000, max: 40_000 }),
    }),
  })
  .map(({ world, cap }) => ({ ...world, cap, faults: world.faults.filter(({ kind }) => kind !== "clock") }));

const prompt: Lag = { there: 1, inside: 1, back: 1, isClockReadFirst: false, fate: "answered" };
const toTurn = (calls: number): Turn => ({
  retryMs: 10,
  lateness: [0],
  connecting: [0],
  idleMs: 0,
  restMs: 0,
  calls,
});
const toProcess = (turns: Turn[]): ProcessScript => ({ clockOffsetMs: 0, drift: 0, lags: [prompt], turns });
const pace = { requestsPerSecond: 10, marginMs: 12 };
/** A day that the world is over before. */
const long = { callsPerDay: 50, dayMs: 1e12 };

describe("processes that share an instance with a cap", () => {
  test("make no more calls in any day than it allows, whatever happens", async () => {
    await fc.assert(
      fc.asyncProperty(anyCappedWorld, async (world) => {
        expect(findFullDays(await simulateLanes(world), world.cap)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  test("make all that it allows, where each gives back what it has not used", async () => {
    const turns = Array.from({ length: 10 }, () => toTurn(7));
    const left = await simulateLanes({
      pace,
      processes: [toProcess(turns), toProcess(turns)],
      faults: [],
      cap: long,
    });
    expect(left).toHaveLength(50);
  });

  test("lose a second and a half of calls at most with one that is killed", async () => {
    const left = await simulateLanes({
      pace,
      processes: [toProcess([toTurn(200)]), toProcess([toTurn(200)])],
      faults: [{ kind: "kill", afterMs: 2_000, process: 0, ms: 100_000 }],
      cap: long,
    });
    expect(left.length).toBeGreaterThanOrEqual(35);
    expect(left.length).toBeLessThanOrEqual(50);
  });

  test("go on with the next day", async () => {
    const left = await simulateLanes({
      pace,
      processes: [toProcess(Array.from({ length: 30 }, () => ({ ...toTurn(20), retryMs: 100 })))],
      faults: [],
      cap: { callsPerDay: 20, dayMs: 4_000 },
      longestMs: 15_900,
    });
    expect(left).toHaveLength(80);
  });
});

describe("the cap would be exceeded", () => {
  test.each<[string, Sabotage]>([
    [
      "if a hand-over gave back what was spent",
      {
        ledger: (ledger) => ({
          ...ledger,
          handOver: (owner, { spent: _spent, ...lease }) => ledger.handOver(owner, lease),
        }),
      },
    ],
    [
      "if calls went on after the day has ended",
      {
        ledger: (ledger) => ({
          ...ledger,
          async renewLeases(owner, held) {
            const { leases, ...rest } = await ledger.renewLeases(owner, held);
            const endless = leases.map((lease) =>
              lease.kind === "renewed" && lease.allowance
                ? { ...lease, allowance: { ...lease.allowance, endsInMs: Infinity } }
                : lease,
            );
            return { ...rest, leases: endless };
          },
        }),
      },
    ],
    ["if calls did not ask whether they may leave", { ignoresMayLeave: true }],
  ])("%s", async (_, sabotage) => {
    const found = await fc.check(
      fc.asyncProperty(anyCappedWorld, async (world) => {
        expect(findFullDays(await simulateLanes(world, sabotage), world.cap)).toEqual([]);
      }),
      { numRuns: 1_000, seed: 3, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  });
});
