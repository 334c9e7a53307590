import { describe, expect, test } from "vitest";
import type { BatchReport } from "../../src/domain/views/batch.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createBatchWatch } from "../../src/http/answers/watch-batches.ts";
import { eventually } from "../support/eventually.ts";

function toReport(pending: number, changes: Partial<BatchReport> = {}): BatchReport {
  const finished = { present: 10 - pending, absent: 0, hidden: 0, invalid: 0, unreachable: 0, unknown: 0 };
  return {
    batchId: "b",
    instanceId: "1" as InstanceId,
    state: pending === 0 ? "done" : "working",
    source: "api",
    label: undefined,
    priority: 1,
    callbackUrl: undefined,
    requestedAt: new Date(0),
    freshAfter: new Date(0),
    accepted: 10,
    duplicates: 0,
    rejected: 0,
    completedIntakeAt: new Date(0),
    finishedAt: undefined,
    cancelledAt: undefined,
    pending,
    fresh: 0,
    cancelled: 0,
    erased: 0,
    finished,
    callsPerSecond: 1,
    etaMs: 1000,
    held: undefined,
    ...changes,
  };
}

/** A batch whose time only passes with `tick`. */
function createWorld(report: BatchReport = toReport(9)) {
  const world = {
    report: report as BatchReport | undefined,
    isAway: false,
    finds: 0,
    nowMs: 0,
    sleepers: new Set<() => void>(),
  };
  const watch = createBatchWatch({
    find: async () => {
      world.finds += 1;
      if (world.isAway) throw new Error("away");
      return world.report;
    },
    now: () => world.nowMs,
    sleep: async (ms, signal) =>
      new Promise<void>((resolve) => {
        const untilMs = world.nowMs + ms;
        const wake = () => {
          if (world.nowMs < untilMs && !signal.aborted) return;
          world.sleepers.delete(wake);
          resolve();
        };
        world.sleepers.add(wake);
        signal.addEventListener("abort", wake);
      }),
  });
  /** A second passes, and what follows from it happens. */
  const tick = async (ms = 1_000) => {
    await eventually(() => expect(world.sleepers.size).toBe(1));
    const { finds } = world;
    world.nowMs += ms;
    for (const wake of world.sleepers) wake();
    await eventually(() => expect(world.finds).toBe(finds + 1));
  };
  return { world, watch, tick };
}

const forever = () => new AbortController().signal;

/** Collects what a watcher is told. */
function listen(watching: AsyncIterable<BatchReport>) {
  const told: string[] = [];
  const ended = (async () => {
    for await (const { state, pending } of watching) told.push(`${state} ${pending}`);
  })();
  return { told, ended };
}

describe("a watcher of a batch", () => {
  test("is told the batch at once, then each change, and its end", async () => {
    const { world, watch, tick } = createWorld();
    const { told, ended } = listen(watch("b", forever()));
    await eventually(() => expect(told).toEqual(["working 9"]));
    // Nothing but the estimate has changed.
    world.report = toReport(9, { etaMs: 7, callsPerSecond: 2 });
    await tick();
    world.report = toReport(5);
    await tick();
    world.report = toReport(0);
    await tick();
    await ended;
    expect(told).toEqual(["working 9", "working 5", "done 0"]);
    expect(world.sleepers.size).toBe(0);
  });

  test("is told that a hold begins, and ends with a cancellation", async () => {
    const { world, watch, tick } = createWorld();
    const { told, ended } = listen(watch("b", forever()));
    await eventually(() => expect(told).toHaveLength(1));
    const hold = { state: "held", reason: "logged-out", since: undefined, until: undefined } as const;
    world.report = toReport(9, { held: { ...hold, instanceId: "1" as InstanceId } });
    await tick();
    await eventually(() => expect(told).toHaveLength(2));
    world.report = toReport(0, { state: "cancelled", cancelled: 9 });
    await tick();
    await ended;
    expect(told).toEqual(["working 9", "working 9", "cancelled 0"]);
  });

  test("shares its reads with all others, and leaves them to it", async () => {
    const { world, watch, tick } = createWorld();
    const leaving = new AbortController();
    const first = listen(watch("b", leaving.signal));
    const second = listen(watch("b", forever()));
    await eventually(() => expect([first.told, second.told]).toEqual([["working 9"], ["working 9"]]));
    const late = listen(watch("b", forever()));
    await eventually(() => expect(late.told).toEqual(["working 9"]));
    expect(world.finds).toBe(1);
    leaving.abort();
    await first.ended;
    world.report = toReport(0);
    await tick();
    await Promise.all([second.ended, late.ended]);
    expect(world.finds).toBe(2);
    expect([first.told, second.told, late.told].map((told) => told.at(-1))).toEqual([
      "working 9",
      "done 0",
      "done 0",
    ]);
  });

  test("leaves nothing behind when it was the last one, however it leaves", async () => {
    const { world, watch } = createWorld();
    const leaving = new AbortController();
    const { told, ended } = listen(watch("b", leaving.signal));
    await eventually(() => expect(told).toHaveLength(1));
    leaving.abort();
    await ended;
    await eventually(() => expect(world.sleepers.size).toBe(0));
    for await (const { pending } of watch("b", forever())) {
      expect(pending).toBe(9);
      break;
    }
    await eventually(() => expect(world.sleepers.size).toBe(0));
    expect(listen(watch("b", AbortSignal.abort())).told).toEqual([]);
    expect(world.finds).toBe(2);
  });

  test("of a batch that is over, or is not there, is told so and no more", async () => {
    const over = createWorld(toReport(0));
    const done = listen(over.watch("b", forever()));
    await done.ended;
    expect(done.told).toEqual(["done 0"]);
    const { world, watch } = createWorld();
    world.report = undefined;
    const none = listen(watch("b", forever()));
    await none.ended;
    expect(none.told).toEqual([]);
  });

  test("waits for a read that fails for half a minute, and no longer", async () => {
    const { world, watch, tick } = createWorld();
    const { told, ended } = listen(watch("b", forever()));
    await eventually(() => expect(told).toHaveLength(1));
    world.isAway = true;
    await tick();
    await tick(29_000);
    world.isAway = false;
    world.report = toReport(5);
    await tick();
    await eventually(() => expect(told).toEqual(["working 9", "working 5"]));
    world.isAway = true;
    await tick();
    const failed = expect(ended).rejects.toThrow("away");
    await tick(30_000);
    await failed;
    expect(world.sleepers.size).toBe(0);
  });
});
