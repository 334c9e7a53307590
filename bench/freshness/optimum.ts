import { worthOfLook } from "./worth.ts";

/**
 * The highest freshness that looks at fixed intervals reach, with known rates: a share of contacts, in the steady state. Each
 * contact is looked at whenever that is worth as much as with all others; never, where it is never worth so much.
 * @param rates changes a day
 */
export function findBestIntervals(rates: Float64Array, callsPerDay: number): number {
  const price = bisect((worth) => -sumOver(rates, (rate) => 1 / toInterval(rate, worth)), -callsPerDay);
  return sumOver(rates, (rate) => meanFreshness(rate * toInterval(rate, price))) / rates.length;
}

/**
 * The same for looks at random moments, as if they were clicks of a Geiger counter: what the paper's closed form says. A contact
 * that is looked at r times a day and changes d times is right for r / (r + d) of the time. Even intervals do better.
 */
export function findBestRandomRates(rates: Float64Array, callsPerDay: number): number {
  const price = bisect((one) => -sumOver(rates, (rate) => toRandomLooks(rate, one)), -callsPerDay);
  return (
    sumOver(rates, (rate) => {
      const perDay = toRandomLooks(rate, price);
      return perDay / (perDay + rate);
    }) / rates.length
  );
}

/** So many a day that one more brings as much as anywhere else. */
function toRandomLooks(rate: number, price: number): number {
  return Math.max(0, Math.sqrt(rate / price) - rate);
}

/** The days after which a look is worth so much; Infinity: it never is. */
function toInterval(rate: number, worth: number): number {
  if (rate * worth >= 1) return Infinity;
  return bisect((days) => worthOfLook(rate, days), worth);
}

/** The mean freshness of a contact in an interval in which so many changes are expected. */
function meanFreshness(expected: number): number {
  if (expected === Infinity) return 0;
  return expected === 0 ? 1 : -Math.expm1(-expected) / expected;
}

/** Where a function that grows reaches a value, for results between 1e-6 and 1e6, to within a millionth. */
function bisect(grow: (x: number) => number, value: number): number {
  let [low, high] = [1e-6, 1e6];
  while (high > low * 1.000_001) {
    const middle = Math.sqrt(low * high);
    if (grow(middle) < value) low = middle;
    else high = middle;
  }
  return Math.sqrt(low * high);
}

function sumOver(rates: Float64Array, toTerm: (rate: number) => number): number {
  return rates.reduce((sum, rate) => sum + toTerm(rate), 0);
}
