import { expect, test } from "vitest";
import { startTasks } from "../../src/lib/start-tasks.ts";
import { eventually } from "../support/eventually.ts";

const clockwork = { random: () => 0.5, stopWithinMs: 2_000, onError: () => undefined };

test("tasks start one by one in the order of the list, and a task that fails is told by its name and done again", async () => {
  const told: string[] = [];
  const stop = await startTasks(
    [
      {
        name: "first",
        async start() {
          await Promise.resolve();
          told.push("first started");
          return async () => void told.push("first stopped");
        },
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
    "first started",
    "second ran",
    "second: Error: away",
    "second ran",
    "second: Error: away",
  ]);
  await stop();
  expect(told).toContain("first stopped");
});

test("all tasks are told to stop at the same time, and one that does not end is left behind", async () => {
  const told: string[] = [];
  const names = ["first", "second"];
  const stop = await startTasks(
    names.map((name) => ({
      name,
      start: () => async () => {
        told.push(name);
        await new Promise(() => undefined);
      },
    })),
    { ...clockwork, stopWithinMs: 1 },
  );
  await stop();
  expect(told).toEqual(names);
});
