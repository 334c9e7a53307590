import { toRetryMs } from "../../src/images/take/take-image.ts";
import { toUniform } from "./random.ts";

const hourMs = 3_600_000;
/** From the answer to the row, where nothing fails: some seconds. */
const usualMs = 2_000;
/** The share of tries that fail at a host which is there. */
const failingShare = 0.05;
/** Beside that the host is away for so long once a week, and each try meanwhile fails. */
const [weekHours, awayFromHour, awayUntilHour] = [168, 100, 106];
/** Images have random numbers of their own: all schedules meet the same changes and URLs as without them. */
const seedOffset = 1_000_003;
/** More tries than any URL outlives. */
const mostTries = 500;

/**
 * When the image of an answer is there, in hours like `at`: tried at once, then after the waits of the product. Infinity: its URL
 * died before, and the image is left to the next look.
 */
export function takeImageAt(
  seed: number,
  contact: number,
  { at, urlExpiresAt }: { readonly at: number; readonly urlExpiresAt: number },
): number {
  const draw = (index: number) => toUniform(seed + seedOffset, contact, at * 2 * mostTries + index);
  let tryAt = at;
  for (let failures = 0; tryAt < urlExpiresAt && failures < mostTries; failures += 1) {
    const isAway = tryAt % weekHours >= awayFromHour && tryAt % weekHours < awayUntilHour;
    if (!isAway && draw(2 * failures) >= failingShare) return tryAt + usualMs / hourMs;
    tryAt += toRetryMs(failures + 1, draw(2 * failures + 1)) / hourMs;
  }
  return Infinity;
}
