import { toNormal, toUniform } from "./random.ts";
import { streams, toStream } from "./streams.ts";

/** A share of the contacts whose avatars change about as often as each other's: lognormal around a median. */
interface RateClass {
  readonly share: number;
  /** Changes a day. */
  readonly median: number;
  /** Deviation of the rate's logarithm; 0: all are the same. */
  readonly sigma: number;
}

/** How often the avatars of an instance's contacts change. */
export interface Mix {
  readonly name: string;
  /** In words, for tables. */
  readonly title: string;
  readonly classes: readonly RateClass[];
}

function toThreeClasses(sigma: number): RateClass[] {
  return [
    { share: 0.8, median: 1 / 730, sigma },
    { share: 0.15, median: 1 / 30, sigma },
    { share: 0.05, median: 1 / 7, sigma },
  ];
}

/** The first is the one that README speaks of. */
export const mixes: readonly [Mix, ...Mix[]] = [
  {
    name: "classes",
    title: "80 % every 2 years, 15 % monthly, 5 % weekly, each with a spread of 0.7",
    classes: toThreeClasses(0.7),
  },
  {
    name: "points",
    title: "80 % every 2 years, 15 % monthly, 5 % weekly, exactly",
    classes: toThreeClasses(0),
  },
  {
    name: "heavy",
    title: "one lognormal: yearly in the median, with a spread of 2",
    classes: [{ share: 1, median: 1 / 365, sigma: 2 }],
  },
];

/** The rate of each contact, in changes a day. */
export function drawRates({ classes }: Mix, contacts: number, seed: number): Float64Array {
  return Float64Array.from({ length: contacts }, (_none, contact) => {
    const stream = toStream(contact, streams.rate);
    const { median, sigma } = pick(classes, toUniform(seed, stream, 0));
    return median * Math.exp(sigma * toNormal(seed, stream, 1));
  });
}

function pick(classes: readonly RateClass[], fraction: number): RateClass {
  let left = fraction;
  for (const one of classes) {
    left -= one.share;
    if (left < 0) return one;
  }
  return classes.at(-1) as RateClass;
}

/** A mix as a few rates and how much of it is near each: what somebody knows who knows the mix, but no contact. */
export interface RateGrid {
  /** Changes a day. */
  readonly rates: Float64Array;
  /** Their sum is 1. */
  readonly weights: Float64Array;
}

/** How far apart the rates of a grid are, as a difference of logarithms. Half of it changes no figure of the tables. */
const gridStep = 0.2;
/** Up to so many deviations from the median. */
const gridReach = 4;

export function toGrid({ classes }: Mix): RateGrid {
  const rates: number[] = [];
  const weights: number[] = [];
  for (const { share, median, sigma } of classes) {
    const half = Math.ceil((gridReach * sigma) / gridStep);
    const offsets = Array.from({ length: 2 * half + 1 }, (_none, index) => (index - half) * gridStep);
    const densities = offsets.map((offset) => (sigma === 0 ? 1 : Math.exp(-((offset / sigma) ** 2) / 2)));
    const sum = densities.reduce((total, density) => total + density, 0);
    rates.push(...offsets.map((offset) => median * Math.exp(offset)));
    weights.push(...densities.map((density) => (share * density) / sum));
  }
  return { rates: Float64Array.from(rates), weights: Float64Array.from(weights) };
}
