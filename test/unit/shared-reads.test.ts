import { describe, expect, test } from "vitest";
import { createSharedReads } from "../../src/lib/reads/shared-reads.ts";
import { createGate } from "../support/gate.ts";

function createWorld(maxKeys = 10) {
  const clock = { ms: 0, reads: 0 };
  const shared = createSharedReads<number>({ timeShare: 10, maxKeys, now: () => clock.ms });
  /** Each reading takes `tookMs` of the clock. */
  const get = (key: string, tookMs = 0) =>
    shared(key, async () => {
      clock.ms += tookMs;
      clock.reads += 1;
      return clock.reads;
    });
  return { clock, shared, get };
}

describe("shared reads", () => {
  test("read what is quick each time, and what takes long a tenth of the time", async () => {
    const { clock, get } = createWorld();
    expect(await get("quick")).toBe(1);
    expect(await get("quick")).toBe(2);
    expect(await get("slow", 100)).toBe(3);
    clock.ms += 899;
    expect(await get("slow", 100)).toBe(3);
    clock.ms += 1;
    expect(await get("slow", 100)).toBe(4);
  });

  test("are one for all who ask for the same while it lasts, and not for others", async () => {
    const { shared, get } = createWorld();
    const gate = createGate();
    const slow = () => shared("a", async () => gate.opened.then(() => 7));
    const both = Promise.all([slow(), get("a")]);
    expect(await get("b")).toBe(1);
    gate.open();
    expect(await both).toEqual([7, 7]);
  });

  test("fail for all who wait, and are tried anew", async () => {
    const { shared, get } = createWorld();
    const failing = () =>
      shared("a", async () => {
        throw new Error("away");
      });
    const results = await Promise.allSettled([failing(), failing()]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await get("a")).toBe(1);
  });

  test("of too many keys forget the oldest", async () => {
    const { get } = createWorld(2);
    for (const key of ["a", "b", "c"]) await get(key, 100);
    expect(await get("b", 100)).toBe(2);
    expect(await get("a", 100)).toBe(4);
  });
});
