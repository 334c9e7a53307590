import { describe, expect, test } from "vitest";
import {
  imagePatienceMs,
  isWaitOver,
  lookAtImages,
  type ImageWait,
} from "../../src/cli/batch/image-patience.ts";
import { formatImages, formatImageProgress } from "../../src/cli/batch/image-words.ts";

/** Looks at each moment, ms, at what is wanted and shown by then. */
function waitThrough(looks: readonly (readonly [atMs: number, wanted: number, shown: number])[]): boolean[] {
  let wait: ImageWait | undefined;
  return looks.map(([atMs, wanted, shown]) => {
    wait = lookAtImages(wait, { wanted, shown, missing: {} }, atMs);
    return isWaitOver(wait, atMs);
  });
}

describe("a wait for images", () => {
  test("is over at once where none is wanted, and when the last one is taken", () => {
    expect(waitThrough([[5, 0, 3]])).toEqual([true]);
    expect(
      waitThrough([
        [5, 2, 0],
        [6, 1, 1],
        [7, 0, 2],
      ]),
    ).toEqual([false, false, true]);
  });

  test("lasts as long as there is progress, and its patience after that", () => {
    const almost = imagePatienceMs - 1;
    expect(
      waitThrough([
        [0, 9, 0],
        [almost, 9, 0],
        [almost + 1, 8, 1],
        [2 * almost, 8, 1],
        [2 * almost + 1, 8, 1],
        [2 * almost + 2, 8, 1],
      ]),
    ).toEqual([false, false, false, false, false, true]);
  });

  test("ends though tries go on, when all of them fail", () => {
    const looks = Array.from({ length: 70 }, (_none, second) => [second * 1_000, 5, 2] as const);
    expect(waitThrough(looks).indexOf(true)).toBe(imagePatienceMs / 1_000);
  });
});

test.each([
  [{ shown: 3, wanted: 0, missing: {} }, "pictures: 3 taken"],
  [
    { shown: 3, wanted: 1, missing: { svg: 2, "server-error": 1 } },
    "pictures: 3 taken; 3 missing (2 svg, 1 host has a fault); 1 is left, which a worker takes later",
  ],
  [
    { shown: 0, wanted: 0, missing: { "not-an-image": 1, expired: 1 } },
    "pictures: 0 taken; 2 missing (1 not an image, 1 URL had died)",
  ],
])("of %j a person reads: %s", (images, words) => {
  expect(formatImages(images)).toBe(words);
});

test("a line of progress says how many are taken of those that were seen", () => {
  expect(formatImageProgress({ shown: 12, wanted: 28, missing: {} })).toBe("pictures 12/40");
});
