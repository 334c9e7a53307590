import { describe, expect, test } from "vitest";
import { LockedError } from "../../src/lib/errors.ts";
import { createFairLimit } from "../../src/lib/fair-limit.ts";
import { createGate, type Gate } from "../support/gate.ts";

const limits = { perKey: 2, all: 3, mostWaiting: 2, waitMs: 60_000 };

/** Work that the test ends, by name, in the order in which it began. */
function createWork() {
  const began: string[] = [];
  const gates = new Map<string, Gate>();
  const work = (name: string) => async () => {
    began.push(name);
    const gate = createGate();
    gates.set(name, gate);
    await gate.opened;
    return name;
  };
  const end = async (name: string) => {
    gates.get(name)?.open();
    await new Promise(setImmediate);
  };
  return { began, work, end, gates };
}

describe("a fair limit", () => {
  test("lets another key pass those that wait for theirs", async () => {
    const limit = createFairLimit(limits);
    const { began, work, end } = createWork();
    const ended = ["a1", "a2", "a3", "b1"].map(async (name) => limit.run(name.charAt(0), work(name)));
    await new Promise(setImmediate);
    expect(began).toEqual(["a1", "a2", "b1"]);
    await end("a1");
    expect(began).toEqual(["a1", "a2", "b1", "a3"]);
    for (const name of ["a2", "a3", "b1"]) await end(name);
    expect(await Promise.all(ended)).toEqual(["a1", "a2", "a3", "b1"]);
  });

  test("has no more at work than it may, of all keys together, and serves them in the order of asking", async () => {
    const limit = createFairLimit(limits);
    const { began, work, end } = createWork();
    const names = ["a1", "b1", "c1", "d1", "e1"];
    const ended = names.map(async (name) => limit.run(name.charAt(0), work(name)));
    await new Promise(setImmediate);
    expect(began).toEqual(["a1", "b1", "c1"]);
    for (const name of names) await end(name);
    expect(began).toEqual(names);
    await Promise.all(ended);
  });

  test("gives the place back when work fails", async () => {
    const limit = createFairLimit({ ...limits, perKey: 1 });
    for (let n = 0; n < 3; n += 1)
      await expect(limit.run("a", async () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    expect(await limit.run("a", async () => 1)).toBe(1);
  });

  test("refuses who would wait behind too many of the same key, and who has waited in vain", async () => {
    const limit = createFairLimit({ ...limits, perKey: 1, waitMs: 20 });
    const { began, work, end } = createWork();
    const first = limit.run("a", work("a1"));
    const others = ["a2", "a3", "a4"].map(async (name) => limit.run("a", work(name)));
    const settled = await Promise.allSettled(others);
    expect(
      settled.map((one) => one.status === "rejected" && (one.reason as unknown) instanceof LockedError),
    ).toEqual([true, true, true]);
    expect(began).toEqual(["a1"]);
    await end("a1");
    await first;
    const next = limit.run("a", work("a5"));
    await end("a5");
    expect(await next).toBe("a5");
  });
});
