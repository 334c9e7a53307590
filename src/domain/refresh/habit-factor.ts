const dayMs = 86_400_000;

/**
 * What is believed of a contact that has not been watched yet: a quarter of a change seen in 30 days. Pictures change hardly ever
 * with most people and every week with a few, so the belief is wide: a quarter of a change is soon outweighed by what is seen.
 */
const believedChanges = 0.25;
const believedDays = 30;

/** The factor is worked out for this interval, in days. It is about the same for any other. */
const referenceDays = 7;
/** Far beyond what the bounds of the settings leave of it. */
const [leastFactor, mostFactor] = [1 / 100, 100];

/** What is known of how often a contact's avatar changes. */
export interface RefreshHabits {
  /** How long the contact has been watched, ms: from its first clear answer to the latest. */
  readonly watchedMs: number;
  /** How many of the looks since then found another avatar than the one before. */
  readonly changes: number;
}

/**
 * By how much the interval of a contact differs from that of one whose habits are not known: below 1 where it changes often,
 * above where it was long watched without a change. Pure.
 *
 * It is where a look brings as much as one brings, after a week, at a contact whose habits are not known ({@link worthOfLook}).
 * More than a change a day is not believed, which would say that no look is worth anything.
 */
export function habitFactor({ watchedMs, changes }: RefreshHabits): number {
  return watchedMs <= 0 && changes <= 0 ? unwatchedFactor : findFactor(watchedMs, changes);
}

/** Most contacts of an import: not worked out for each. */
const unwatchedFactor = findFactor(0, 0);

function findFactor(watchedMs: number, changes: number): number {
  const worth = worthOfLook(believedChanges, believedDays, referenceDays);
  const watchedDays = Math.max(0, watchedMs) / dayMs;
  const a = believedChanges + Math.min(Math.max(0, changes), watchedDays + 1);
  const b = believedDays + watchedDays;
  let low = leastFactor;
  let high = mostFactor;
  // What a look brings grows with the interval: halve the range until half a percent is left.
  while (high > low * 1.005) {
    const middle = Math.sqrt(low * high);
    if (worthOfLook(a, b, middle * referenceDays) < worth) low = middle;
    else high = middle;
  }
  return Math.sqrt(low * high);
}

/**
 * What a look brings after `days` without one: for how many days, in the mean, the stored avatar will be right that would
 * otherwise be wrong. Avatars change as a Poisson process whose rate is not known: it is taken to be gamma distributed, with
 * `changes` in `watchedDays` as its evidence.
 *
 * Of a known rate d the gain of a look at age t is (1 − e^(−dt) (1 + dt)) / d (Azar, Horvitz, Lubetzky, Peres, Shahaf, PNAS 2018,
 * and Cho and Garcia-Molina, ACM TODS 2003, from the freshness (1 − e^(−dt)) / (dt) of an interval t): to look where it is highest
 * is the optimum. This is its mean over the rates that the evidence leaves, in closed form.
 */
function worthOfLook(changes: number, watchedDays: number, days: number): number {
  const left = watchedDays / (watchedDays + days);
  const unchanged = left ** changes;
  const mean = Math.abs(changes - 1) < 1e-9 ? -Math.log(left) : (1 - left ** (changes - 1)) / (changes - 1);
  return watchedDays * mean - days * unchanged;
}
