import { expect, test } from "vitest";
import { once } from "../../src/lib/closing/once.ts";

test("a stop that several callers ask for is done once, with the first one's grace, and all wait for it", async () => {
  const graces: number[] = [];
  const stop = once(async (graceMs: number) => {
    graces.push(graceMs);
    return Promise.resolve("stopped");
  });
  expect(await Promise.all([stop(5), stop(10), stop(0)])).toEqual(["stopped", "stopped", "stopped"]);
  expect(graces).toEqual([5]);
});

test("nothing is a result too, and a rejection stays", async () => {
  let calls = 0;
  const clear = once(() => void (calls += 1));
  clear();
  clear();
  expect(calls).toBe(1);
  const fail = once(async () => {
    calls += 1;
    return Promise.reject(new Error("away"));
  });
  await expect(fail()).rejects.toThrow("away");
  await expect(fail()).rejects.toThrow("away");
  expect(calls).toBe(2);
});

test("what has thrown is called again", () => {
  let calls = 0;
  const open = once(() => {
    calls += 1;
    if (calls === 1) throw new Error("not yet");
    return calls;
  });
  expect(open).toThrow("not yet");
  expect([open(), open()]).toEqual([2, 2]);
});
