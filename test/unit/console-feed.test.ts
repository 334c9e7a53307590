import { afterEach, beforeEach, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { InstanceOverview } from "../../src/domain/views/instance-overview.ts";
import { createConsoleFeed } from "../../src/http/routes/console/console-feed.ts";
import { eventually } from "../support/eventually.ts";

const idle: InstanceOverview = {
  instanceId: "1101000001" as InstanceId,
  label: "Madrid",
  state: "active",
  heldReason: undefined,
  heldSince: undefined,
  heldUntil: undefined,
  throttledUntil: undefined,
  carePause: undefined,
  requestsPerSecond: 10,
  callsAllowed: 10,
  callsPerSecond: 0,
  slowdown: 1,
  marginMs: 0,
  maxInFlight: undefined,
  inFlight: 0,
  workers: 0,
  recentCalls: 0,
  recentThrottled: 0,
  latencyMs: undefined,
  stateSeen: undefined,
  stateSeenAt: undefined,
  oldestDueAgeMs: undefined,
  backlog: undefined,
  etaMs: undefined,
  history: [],
};

/** A feed whose time only passes with `pass`, and whose Postgres answers with `answer` alone. */
function createWorld() {
  let nowMs = 0;
  const sleepers = new Set<() => void>();
  const questions: ((rows: readonly InstanceOverview[]) => void)[] = [];
  const stopping = new AbortController();
  let looks = 0;
  const feed = createConsoleFeed({
    readOverview: async () => {
      looks += 1;
      return new Promise((resolve) => questions.push(resolve));
    },
    isQueueReachable: async () => true,
    now: () => nowMs,
    sleep: async (ms, signal) =>
      new Promise<void>((resolve) => {
        const untilMs = nowMs + ms;
        const wake = () => {
          if (nowMs < untilMs && !signal.aborted) return;
          sleepers.delete(wake);
          resolve();
        };
        sleepers.add(wake);
        signal.addEventListener("abort", wake);
        wake();
      }),
  });
  return {
    looks: () => looks,
    pass(ms: number) {
      nowMs += ms;
      for (const wake of sleepers) wake();
    },
    async answer(label: string) {
      await eventually(() => expect(questions).toHaveLength(1));
      questions.shift()?.([{ ...idle, label }]);
    },
    /** A reader who comes, and what it is told of the instance's label, as it comes. */
    join() {
      const leaving = new AbortController();
      const labels: unknown[] = [];
      const signal = AbortSignal.any([leaving.signal, stopping.signal]);
      const reading = (async () => {
        for await (const { event, data } of feed({
          lastId: undefined,
          canSee: () => true,
          signal,
          reports: undefined,
        })) {
          if (event !== "status") continue;
          const { items } = JSON.parse(data) as { items: { label: unknown }[] };
          labels.push(...items.map(({ label }) => label));
        }
      })();
      return { labels, leave: async () => (leaving.abort(), reading) };
    },
    stop: () => stopping.abort(),
  };
}

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.stop());

/** A reader comes, is told what a look finds, and leaves. */
async function visit(label: string): Promise<void> {
  const reader = world.join();
  await world.answer(label);
  await eventually(() => expect(reader.labels).toEqual([label]));
  await reader.leave();
}

test("a reader who comes within two seconds after a look is told at once what it has found", async () => {
  await visit("Madrid");

  world.pass(1_999);
  const second = world.join();
  await eventually(() => expect(second.labels).toEqual(["Madrid"]));
  expect(world.looks()).toBe(1);

  world.pass(1);
  await world.answer("Hamburg");
  await eventually(() => expect(second.labels).toEqual(["Madrid", "Hamburg"]));
});

test("a reader who comes later is told only what was found since", async () => {
  await visit("Madrid");

  world.pass(2_000);
  const second = world.join();
  await world.answer("Hamburg");
  await eventually(() => expect(second.labels).toEqual(["Hamburg"]));
});

test("Postgres is asked once in two seconds, however often the only reader leaves and comes back", async () => {
  for (let count = 0; count < 5; count += 1) {
    const reader = world.join();
    if (count === 0) await world.answer("Madrid");
    await eventually(() => expect(reader.labels).toEqual(["Madrid"]));
    await reader.leave();
    world.pass(300);
  }
  expect(world.looks()).toBe(1);
});

test("a look that was begun for a reader who has left serves the next one", async () => {
  const first = world.join();
  await eventually(() => expect(world.looks()).toBe(1));
  await first.leave();

  const second = world.join();
  await world.answer("Madrid");
  await eventually(() => expect(second.labels).toEqual(["Madrid"]));
  expect(world.looks()).toBe(1);
});

test("no look is made while none reads", async () => {
  await visit("Madrid");
  world.pass(10_000);
  const next = world.join();
  await eventually(() => expect(world.looks()).toBe(2));
  await next.leave();
});
