import fc from "fast-check";
import { expect, test } from "vitest";
import { createPlaces } from "../../src/http/requests/places.ts";
import { ApiError } from "../../src/http/answers/problem.ts";

const options = { total: 4, perKey: 2, what: "uploads" };

function refuse(take: () => unknown): unknown {
  try {
    take();
    return "taken";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return [error.kind, error.message, error.headers["retry-after"]];
  }
}

test("a key has its share, and others find theirs", () => {
  const places = createPlaces(options);
  const release = places.take("a");
  places.take("a");
  expect(refuse(() => places.take("a"))).toEqual([
    "rate-limited",
    "one key has 2 uploads at once in each server, and no more: wait until others of this key have ended",
    "5",
  ]);
  places.take("b");
  places.take("c");
  expect(refuse(() => places.take("d"))).toEqual([
    "unavailable",
    "this server serves 4 uploads at once, and no more: try again",
    "5",
  ]);
  expect(places.tryTake("d")).toBeUndefined();
  release();
  release();
  places.take("d");
  expect(refuse(() => places.take("e"))).toContain("unavailable");
});

test("whatever is taken and given back, no key has more than its share, and none is lost", () => {
  const step = fc.record({
    key: fc.constantFrom("a", "b", "c"),
    count: fc.nat(4),
    gives: fc.boolean(),
    at: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const places = createPlaces({ total: 9, perKey: 5, what: "bytes" });
      const taken: { key: string; count: number; release: () => void }[] = [];
      for (const { key, count, gives, at } of steps) {
        if (gives && taken.length > 0) {
          const [given] = taken.splice(at % taken.length, 1);
          given!.release();
          given!.release();
        } else {
          const of = (all: typeof taken) => all.reduce((sum, one) => sum + one.count, 0);
          const fits = of(taken) + count <= 9 && of(taken.filter((one) => one.key === key)) + count <= 5;
          const release = places.tryTake(key, count);
          expect(release !== undefined).toBe(fits);
          if (release) taken.push({ key, count, release });
        }
      }
      for (const { release } of taken) release();
      for (const key of ["x", "y"]) places.take(key, 4);
    }),
  );
});
