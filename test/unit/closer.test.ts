import { expect, test } from "vitest";
import { createCloser } from "../../src/lib/closing/closer.ts";
import { createGate } from "../support/gate.ts";

test("what was opened last is closed first, one after the other", async () => {
  const log: string[] = [];
  const closer = createCloser(() => undefined);
  for (const name of ["database", "queues", "worker"]) {
    closer.add(name, async () => {
      log.push(`${name} closing`);
      await Promise.resolve();
      log.push(`${name} closed`);
    });
  }
  await closer.close();
  expect(log).toEqual(
    ["worker", "queues", "database"].flatMap((name) => [`${name} closing`, `${name} closed`]),
  );
});

test("closing twice closes everything once, and both wait for the end", async () => {
  let closed = 0;
  const gate = createGate();
  const closer = createCloser(() => undefined);
  closer.add("slow", async () => {
    await gate.opened;
    closed += 1;
  });
  const both = [closer.close(), closer.close()].map((closing) => closing.then(() => closed));
  gate.open();
  expect(await Promise.all(both)).toEqual([1, 1]);
});

test("one that fails, at once or later, is reported and does not keep the others open", async () => {
  const failures: [string, unknown][] = [];
  const closed: string[] = [];
  const closer = createCloser((name, error) => failures.push([name, error]));
  closer.add("first", () => void closed.push("first"));
  closer.add("throws", () => {
    throw new Error("at once");
  });
  closer.add("rejects", async () => Promise.reject(new Error("later")));
  closer.add("last", () => void closed.push("last"));
  await closer.close();
  expect(closed).toEqual(["last", "first"]);
  expect(failures).toEqual([
    ["rejects", new Error("later")],
    ["throws", new Error("at once")],
  ]);
});

test("one that does not end within the deadline is told as late, and does not keep the others open", async () => {
  const told: string[] = [];
  const closer = createCloser((name) => told.push(`${name} failed`), {
    deadlineMs: 1,
    onLate: (name) => told.push(`${name} late`),
  });
  closer.add("first", () => void told.push("first closed"));
  closer.add("endless", () => new Promise(() => undefined));
  await closer.close();
  expect(told).toEqual(["endless late", "first closed"]);
});
