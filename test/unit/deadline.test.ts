import { expect, test } from "vitest";
import { settleWithin, sleep } from "../../src/lib/deadline.ts";
import { createGate } from "../support/gate.ts";

const never = new Promise<never>(() => undefined);

test("a promise that settles in time counts as settled", async () => {
  expect(await settleWithin(Promise.resolve("anything"), 60_000)).toBe(true);
});

test("a promise that never settles is left after the deadline", async () => {
  expect(await settleWithin(never, 1)).toBe(false);
});

test("what fails in time is passed on", async () => {
  await expect(settleWithin(Promise.reject(new Error("broken")), 60_000)).rejects.toThrow("broken");
});

test("what fails after the deadline troubles nobody", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", note);
  const gate = createGate();
  expect(await settleWithin(gate.opened, 1)).toBe(false);
  gate.fail(new Error("too late"));
  await new Promise(setImmediate);
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

test("a sleep ends early when its signal is aborted, before or while it sleeps", async () => {
  await sleep(1e9, AbortSignal.abort());
  const aborting = new AbortController();
  const sleeping = sleep(1e9, aborting.signal);
  aborting.abort();
  await sleeping;
});

test("a sleep without a signal ends by itself", async () => {
  await sleep(1);
  await sleep(-5);
});
