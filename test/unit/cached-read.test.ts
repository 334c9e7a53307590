import { describe, expect, test } from "vitest";
import { createCachedRead, type CachedReadOptions } from "../../src/metrics/cached-read.ts";
import { createGate } from "../support/gate.ts";

const clock = { ms: 0 };
const options: CachedReadOptions = {
  freshMs: 10_000,
  timeShare: 1,
  deadlineMs: 60_000,
  keepsLast: false,
  now: () => clock.ms,
};
const atOnce = { deadlineMs: 1 };

/** Counts how often it was read; each reading takes `tookMs` of the clock. */
function createSource(tookMs = 0) {
  const source = { reads: 0, isBroken: false };
  const read = async () => {
    source.reads += 1;
    clock.ms += tookMs;
    if (source.isBroken) throw new Error("away");
    return source.reads;
  };
  return { source, read };
}

describe("a cached read", () => {
  test("reads anew only when the value is old, and once for all who ask", async () => {
    const { source, read } = createSource();
    const get = createCachedRead(read, options);
    expect(await Promise.all([get(), get(), get()])).toEqual([1, 1, 1]);
    clock.ms += 9_999;
    expect(await get()).toBe(1);
    clock.ms += 1;
    expect(await get()).toBe(2);
    expect(source.reads).toBe(2);
  });

  test("reads less often what takes long", async () => {
    const { read } = createSource(1_000);
    const get = createCachedRead(read, { ...options, timeShare: 50 });
    expect(await get()).toBe(1);
    clock.ms += 48_999;
    expect(await get()).toBe(1);
    clock.ms += 1;
    expect(await get()).toBe(2);
  });

  test("tries less often what fails after a long time", async () => {
    const { source, read } = createSource(1_000);
    source.isBroken = true;
    const get = createCachedRead(read, { ...options, timeShare: 50 });
    expect(await get()).toBeUndefined();
    clock.ms += 48_999;
    expect(await get()).toBeUndefined();
    expect(source.reads).toBe(1);
    clock.ms += 1;
    source.isBroken = false;
    expect(await get()).toBe(2);
  });

  test("has nothing to tell while reading fails, and tries again when it is asked", async () => {
    const { source, read } = createSource();
    const get = createCachedRead(read, options);
    expect(await get()).toBe(1);
    clock.ms += 10_000;
    source.isBroken = true;
    expect(await get()).toBeUndefined();
    source.isBroken = false;
    expect(await get()).toBe(3);
  });

  test("that keeps its last value gives it while reading fails or takes too long", async () => {
    const { source, read } = createSource();
    const gate = createGate();
    let waitsAtGate = false;
    const slow = async () => {
      if (waitsAtGate) await gate.opened;
      return read();
    };
    const get = createCachedRead(slow, { ...options, ...atOnce, keepsLast: true });
    expect(await get()).toBe(1);
    clock.ms += 10_000;
    source.isBroken = true;
    expect(await get()).toBe(1);
    source.isBroken = false;
    waitsAtGate = true;
    expect(await get()).toBe(1);
    gate.open();
  });

  test("is waited for no longer than the deadline", async () => {
    const gate = createGate();
    const get = createCachedRead(
      async () => {
        await gate.opened;
        return "late";
      },
      { ...options, ...atOnce },
    );
    expect(await get()).toBeUndefined();
    gate.open();
    expect(await get()).toBe("late");
  });
});
