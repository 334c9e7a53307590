import { drawRates, type Mix } from "./mix.ts";
import { createSchedule } from "./schedules.ts";
import { simulate, type Figures } from "./simulate.ts";

export interface Month {
  readonly mix: Mix;
  readonly contacts: number;
  readonly seed: number;
  /** That are counted, after as many for learning. */
  readonly days: number;
}

/** What an instance's calls come to a day: GREEN-API's 10 a second, of which refreshes have 30 %, and more at night. */
const ampleCallsPerDay = 0.3 * 10 * 86_400;

/** The same contacts with and without URLs that are kept fresh. */
export interface MonthOutcome {
  /** Undefined: calls for a tenth of the contacts a day. */
  readonly callsPerDay: number | undefined;
  readonly withUrls: Figures;
  readonly withoutUrls: Figures;
}

/** @param before called before each run, which takes a while and cannot be interrupted */
export async function compareMonth(
  { mix, contacts, seed, days }: Month,
  before?: (name: string) => Promise<void>,
): Promise<readonly MonthOutcome[]> {
  const rates = drawRates(mix, contacts, seed);
  const outcomes: MonthOutcome[] = [];
  for (const callsPerDay of [ampleCallsPerDay, undefined]) {
    const run = async (name: "policy" | "policyWithUrls") => {
      await before?.(name);
      const world = { rates, seed, ...(callsPerDay !== undefined && { callsPerDay }) };
      const schedule = createSchedule(name, { mix, rates, days: 2 * days });
      return simulate(world, schedule, [0, days, 2 * days])[1]!;
    };
    const withUrls = await run("policyWithUrls");
    outcomes.push({ callsPerDay, withUrls, withoutUrls: await run("policy") });
  }
  return outcomes;
}
