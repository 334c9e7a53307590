import { expect, test } from "vitest";
import { startTasks } from "../../src/lib/start-tasks.ts";
import { eventually } from "../support/eventually.ts";

const clockwork = { random: () => 0.5, stopWithinMs: 2_000, onError: () => undefined };

test("tasks start in the order of the list, and a task that fails is told by its name and done again", async () => {
  const told: string[] = [];
  const stop = startTasks(
    [
      {
        name: "first",
        everyMs: 60_000,
        run: async () => void told.push("first ran"),
      },
      {
        name: "second",
        everyMs: 1,
        async run() {
          told.push("second ran");
          return Promise.reject(new Error("away"));
        },
      },
    ],
    { ...clockwork, onError: (name, error) => told.push(`${name}: ${String(error)}`) },
  );
  await eventually(() => expect(told.length).toBeGreaterThan(4));
  expect(told.slice(0, 5)).toEqual([
    "first ran",
    "second ran",
    "second: Error: away",
    "second ran",
    "second: Error: away",
  ]);
  await stop();
});

test("all tasks are told to stop at the same time, and one that does not end is left behind", async () => {
  const told: string[] = [];
  const names = ["first", "second"];
  const stop = startTasks(
    names.map((name) => ({
      name,
      everyMs: 1,
      async run(signal: AbortSignal) {
        signal.addEventListener("abort", () => told.push(name));
        await new Promise(() => undefined);
      },
    })),
    { ...clockwork, stopWithinMs: 1 },
  );
  expect(told).toEqual([]);
  await stop();
  expect(told).toEqual(names);
});

test("a task that ends when it is told to is waited for, and is not done again", async () => {
  let runs = 0;
  let ended = 0;
  const run = async (signal: AbortSignal) => {
    runs += 1;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    ended += 1;
  };
  const stop = startTasks([{ name: "only", everyMs: 1, run }], clockwork);
  await stop();
  await stop();
  expect({ runs, ended }).toEqual({ runs: 1, ended: 1 });
});
