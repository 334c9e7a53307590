import { drawRates, type Mix } from "./mix.ts";
import { createSchedule, type ScheduleName } from "./schedules.ts";
import { simulate, type Figures } from "./simulate.ts";

export interface Comparison {
  readonly mix: Mix;
  readonly contacts: number;
  readonly seed: number;
  /** The days at which periods begin and end, ascending, from 0 on. */
  readonly bounds: readonly number[];
}

/** What each schedule made of the same contacts with the same number of calls: figures for each period. */
export type Outcomes = Readonly<Partial<Record<ScheduleName, readonly Figures[]>>>;

/** @param before called before each schedule's run, which takes a while and cannot be interrupted */
export async function compareSchedules(
  { mix, contacts, seed, bounds }: Comparison,
  names: readonly ScheduleName[],
  before?: (name: ScheduleName) => Promise<void>,
): Promise<Outcomes> {
  const rates = drawRates(mix, contacts, seed);
  const outcomes: Partial<Record<ScheduleName, readonly Figures[]>> = {};
  for (const name of names) {
    await before?.(name);
    const schedule = createSchedule(name, { mix, rates, days: bounds.at(-1) ?? 0 });
    outcomes[name] = simulate({ rates, seed }, schedule, bounds);
  }
  return outcomes;
}

/** How far a schedule comes from round robin towards another one: 0 to 1, NaN where one of them has not run. */
export function findWay(outcomes: Outcomes, name: ScheduleName, goal: ScheduleName, period: number): number {
  const freshness = (of: ScheduleName) => outcomes[of]?.[period]?.freshness ?? Number.NaN;
  const start = freshness("roundRobin");
  return (freshness(name) - start) / (freshness(goal) - start);
}
