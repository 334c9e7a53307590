// npm run bench:images: what taking images costs, what serving them costs, and what it costs the calls.
import { parseArgs } from "node:util";
import { measureCalls } from "./images/measure-calls.ts";
import { measureServing } from "./images/measure-serving.ts";
import { measureTaking, takingRows, type TakingFigures } from "./images/measure-taking.ts";
import {
  toCallsSection,
  toReport,
  toServingSection,
  toTakingSection,
  toVerdictText,
  type Section,
} from "./images/report.ts";
import { OptionError, readOptionsOrExit, toNumber } from "./options.ts";
import { runBench, withCloser, type Bench } from "./run-bench.ts";
import { openServers, type Servers } from "./servers.ts";
import { toMarkdown, toText } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const parts = ["taking", "serving", "calls"] as const;
type Part = (typeof parts)[number];

const usage = `npm run bench:images -- [options]
  --only LIST         parts: ${parts.join(", ")} (default: all)
  --contacts NUMBER   whose images are served (default: 1500)
  --seconds NUMBER    of each load of the API (default: 10)
  --rounds NUMBER     by turns with and without: of the loads, and of the imports (default: 3)
  --instances NUMBER  that are called beside it (default: 20)
  --call-seconds NUMBER  that their calls are counted, in each round (default: 60)
  --markdown          the tables as Markdown
  --write             also write bench/RESULTS.md, with all parts
`;

interface Options {
  readonly parts: readonly Part[];
  readonly contacts: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly instances: number;
  readonly callSeconds: number;
  readonly markdown: boolean;
  readonly write: boolean;
}

/** @throws OptionError; Node's own TypeError on options that are none */
function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      contacts: { type: "string", default: "1500" },
      seconds: { type: "string", default: "10" },
      rounds: { type: "string", default: "3" },
      instances: { type: "string", default: "20" },
      "call-seconds": { type: "string", default: "60" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  if (values.write && values.only !== undefined)
    throw new OptionError("--write is for all parts: leave --only out");
  return {
    parts: values.only === undefined ? parts : values.only.split(",").map(toPart),
    contacts: Math.round(toNumber("--contacts", values.contacts, 50, 100_000)),
    seconds: toNumber("--seconds", values.seconds, 1, 600),
    rounds: Math.round(toNumber("--rounds", values.rounds, 1, 20)),
    instances: Math.round(toNumber("--instances", values.instances, 1, 200)),
    callSeconds: toNumber("--call-seconds", values["call-seconds"], 5, 3_600),
    markdown: values.markdown,
    write: values.write,
  };
}

function toPart(text: string): Part {
  const part = parts.find((name) => name === text.trim());
  if (part === undefined) throw new OptionError(`--only takes ${parts.join(", ")}; not "${text}"`);
  return part;
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const sections: Section[] = [];
  for (const part of options.parts) {
    bench.note(part);
    const section = await measurePart(part, servers, options, bench);
    sections.push(section);
    const table = options.markdown ? toMarkdown(section.table) : toText(section.table);
    console.log(`${section.title}\n\n${table}\n\n${toVerdictText(section)}\n`);
  }
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    const run = { minutes, seconds: options.seconds, postgresVersion: servers.postgres.version };
    await writeResults("bench:images", toReport(sections, run));
    bench.note(`written: ${resultsFile}`);
  }
  return sections.every(({ verdicts }) => verdicts.every(({ isMet }) => isMet)) ? 0 : 1;
}

async function measurePart(part: Part, servers: Servers, options: Options, bench: Bench): Promise<Section> {
  switch (part) {
    case "taking":
      return toTakingSection(await measureAllTaking(servers, bench));
    case "serving":
      return toServingSection(await withCloser((closer) => measureServing(servers, options, bench, closer)));
    case "calls": {
      const { instances, rounds, callSeconds: seconds } = options;
      const backend = servers.redis ? "redis" : "postgres";
      return toCallsSection(await measureCalls(servers, { backend, instances, seconds, rounds }, bench));
    }
  }
}

async function measureAllTaking(servers: Servers, bench: Bench): Promise<TakingFigures[]> {
  const measured: TakingFigures[] = [];
  for (const row of takingRows) {
    const figures = await withCloser((closer) => measureTaking(servers, row, bench, closer));
    measured.push(figures);
    const { taken, refused, failed, seconds, peakInFlight, peakRssMb } = figures;
    const rate = ((taken + refused + failed) / seconds).toFixed(0);
    bench.note(`  ${row.name}: ${rate} a second, ${peakInFlight} in flight, ${peakRssMb.toFixed(0)} MB`);
  }
  return measured;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
