// npm run bench:freshness: how many stored avatars are right, with calls for a tenth of the contacts a day, in simulated time.
import { setImmediate } from "node:timers/promises";
import { parseArgs } from "node:util";
import { compareSchedules, findWay } from "./freshness/compare.ts";
import { drawRates, mixes, type Mix } from "./freshness/mix.ts";
import { compareMonth } from "./freshness/month.ts";
import { findBestIntervals, findBestRandomRates } from "./freshness/optimum.ts";
import {
  leastWay,
  toLongTable,
  toMixTable,
  toMonthTable,
  toReport,
  type Section,
} from "./freshness/report.ts";
import { scheduleNames, type ScheduleName } from "./freshness/schedules.ts";
import { importDays } from "./freshness/simulate.ts";
import { OptionError, readOptionsOrExit, toNumber } from "./options.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { toMarkdown, toText } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:freshness -- [options]
  --contacts NUMBER   of the instance; it has calls for a tenth of them a day (default: 100000)
  --days NUMBER       that are simulated; the first third is reported apart (default: 90)
  --seed NUMBER       of the random numbers: the same one gives the same figures (default: 1)
  --mix NAME          how often avatars change: ${mixes.map(({ name }) => name).join(", ")} (default: one after the other;
                      the first of them again for four times as long)
  --markdown          the tables as Markdown
  --write             also write bench/RESULTS.md
`;

interface Options {
  readonly contacts: number;
  readonly days: number;
  readonly seed: number;
  readonly mixes: readonly Mix[];
  readonly markdown: boolean;
  readonly write: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      contacts: { type: "string", default: "100000" },
      days: { type: "string", default: "90" },
      seed: { type: "string", default: "1" },
      mix: { type: "string" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const chosen = mixes.filter(({ name }) => values.mix === undefined || name === values.mix);
  if (chosen.length === 0) throw new OptionError(`--mix takes ${mixes.map(({ name }) => name).join(" or ")}`);
  if (values.write && values.mix !== undefined)
    throw new OptionError("--write is for all mixes: leave --mix out");
  return {
    contacts: toNumber("--contacts", values.contacts, 1_000, 1_000_000),
    days: Math.round(toNumber("--days", values.days, 3, 1_000)),
    seed: Math.round(toNumber("--seed", values.seed, 0, 2 ** 31)),
    mixes: chosen,
    markdown: values.markdown,
    write: values.write,
  };
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const sections: Section[] = [];
  const add = (section: Section) => {
    sections.push(section);
    const table = options.markdown ? toMarkdown(section.table) : toText(section.table);
    console.log(`${section.title}\n\n${table}\n`);
  };
  let isMet = true;
  for (const mix of options.mixes) {
    const { section, way } = await compareMix(mix, options, bench);
    add(section);
    isMet &&= way >= leastWay;
  }
  if (options.mixes[0] === mixes[0]) {
    add(await compareLong(mixes[0], options, bench));
    const { section, dead } = await compareShown(mixes[0], options, bench);
    add(section);
    isMet &&= dead === 0;
  }
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:freshness", toReport(sections, { ...options, minutes }));
    bench.note(`written: ${resultsFile}`);
  }
  return isMet ? 0 : 1;
}

async function compareMix(
  mix: Mix,
  { contacts, days, seed }: Options,
  bench: Bench,
): Promise<{ section: Section; way: number }> {
  const bounds = [0, Math.round(days / 3), days];
  const outcomes = await compareSchedules({ mix, contacts, seed, bounds }, scheduleNames, async (name) =>
    pause(`${mix.name}, ${days} days: ${name}`, bench),
  );
  const rates = drawRates(mix, contacts, seed);
  const table = toMixTable(bounds, outcomes, {
    fixed: findBestIntervals(rates, contacts / importDays),
    random: findBestRandomRates(rates, contacts / importDays),
  });
  return { section: { title: mix.title, table }, way: findWay(outcomes, "policy", "knownMix", 1) };
}

/** How the policy comes nearer while it learns. */
async function compareLong(mix: Mix, { contacts, days, seed }: Options, bench: Bench): Promise<Section> {
  const bounds = [0, days, 2 * days, 3 * days, 4 * days];
  const names: ScheduleName[] = ["roundRobin", "policy", "knownRates", "knownMix"];
  const outcomes = await compareSchedules({ mix, contacts, seed, bounds }, names, async (name) =>
    pause(`${mix.name}, ${4 * days} days: ${name}`, bench),
  );
  return { title: `The first of these mixes for ${4 * days} days`, table: toLongTable(bounds, outcomes) };
}

/** What a list of contacts shows, by URLs and by images, on average over a month. */
async function compareShown(
  mix: Mix,
  { seed }: Options,
  bench: Bench,
): Promise<{ section: Section; dead: number }> {
  const month = { mix, contacts: 20_000, seed, days: 30 };
  const outcomes = await compareMonth(month, async (name) => pause(`a month of pictures: ${name}`, bench));
  const dead = Math.max(...outcomes.map(({ withoutUrls }) => withoutUrls.missing));
  const title = "A month of pictures, after one of learning, with the first of these mixes";
  return { section: { title, table: toMonthTable(outcomes, month) }, dead };
}

/** A run keeps the process busy: only between two of them is Ctrl-C heard. */
async function pause(text: string, { note, signal }: Bench): Promise<void> {
  note(text);
  await setImmediate();
  signal.throwIfAborted();
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
