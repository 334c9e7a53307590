// npm run bench:recovery: how soon calls go on after a fault, and whether the budget holds meanwhile.
import { parseArgs } from "node:util";
import { describeRun } from "./describe-run.ts";
import { OptionError, readOptionsOrExit, toNumber, toBackend, toNames } from "./options.ts";
import { measureKill } from "./recovery/kill.ts";
import { measureRedisFault, redisFaults } from "./recovery/redis-faults.ts";
import { isAllMet, mostTakeOverSeconds, toTables, type RecoveryFigures } from "./recovery/report.ts";
import { requestsPerSecond, workers, type StageOptions } from "./recovery/stage.ts";
import { measureStorm, recoveredShare, stormSeconds } from "./recovery/storm.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { openServers, type Backend, type Servers } from "./servers.ts";
import { latencyMs } from "./simulator.ts";
import { toMarkdown, toText, type Table } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const faultNames = ["storm", "kill", ...redisFaults] as const;
type FaultName = (typeof faultNames)[number];

const usage = `npm run bench:recovery -- [options]
  --instances NUMBER  each of ${requestsPerSecond} calls per second (default: 20)
  --only LIST         some of ${faultNames.join(",")} (default: all, one after the other)
  --backend NAME      of the queue, for storm and kill: redis or postgres (default: redis where redis-server is installed)
  --markdown          the tables as Markdown
  --write             also write bench/RESULTS.md, with all faults
`;

interface Options {
  readonly instances: number;
  readonly only: readonly FaultName[];
  readonly backend: Backend | undefined;
  readonly markdown: boolean;
  readonly write: boolean;
}

/** @throws OptionError; Node's own TypeError on options that are none */
function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      instances: { type: "string", default: "20" },
      only: { type: "string" },
      backend: { type: "string" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const { only } = values;
  const backend = toBackend(values.backend);
  if (values.write && only !== undefined)
    throw new OptionError("--write is for all faults: leave --only out");
  return {
    instances: toNumber("--instances", values.instances, 1, 200),
    only: toNames(only, faultNames),
    backend,
    markdown: values.markdown,
    write: values.write,
  };
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const backend = options.backend ?? (servers.redis ? "redis" : "postgres");
  const figures = await measureAll(options, { servers, backend, instances: options.instances, bench });
  const tables = toTables(figures);
  console.log(tables.map(options.markdown ? toMarkdown : toText).join("\n\n"));
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:recovery", toReport(tables, { options, servers, backend, minutes }));
    bench.note(`written: ${resultsFile}`);
  }
  return isAllMet(figures) ? 0 : 1;
}

async function measureAll({ only }: Options, stage: StageOptions): Promise<RecoveryFigures> {
  const { note } = stage.bench;
  const has = (name: FaultName) => only.includes(name);
  if (has("storm")) note("a storm of 429: about 90 s");
  const storm = has("storm") ? { storm: await measureStorm(stage) } : {};
  if (has("kill")) note("a worker killed: about 60 s");
  const kill = has("kill") ? { kill: await measureKill(stage) } : {};
  const redis = [];
  for (const fault of redisFaults.filter(has)) {
    if (stage.servers.redis === undefined) note(`there is no redis-server: ${fault} is left out`);
    else {
      note(`Redis ${fault}: about 60 s`);
      redis.push(await measureRedisFault(fault, { ...stage, backend: "redis" }));
    }
  }
  return { ...storm, ...kill, redis };
}

interface ReportFacts {
  readonly options: Options;
  readonly servers: Servers;
  readonly backend: Backend;
  readonly minutes: number;
}

function toReport(tables: readonly Table[], { options, servers, backend, minutes }: ReportFacts): string {
  const queue = backend === "redis" ? "Redis" : "Postgres";
  return `${describeRun({ minutes, servers })}

${options.instances} instances of ${requestsPerSecond} calls per second, ${workers} workers, the queue in ${queue}; each fault in a database of its own, when all instances have
been called at their rate for a while. The simulator counts strictly, by its own clock, and answers in ${latencyMs} ms (median; 1 %
take about 1.5 s longer). Everything shares the machine.

${tables.map(toMarkdown).join("\n\n")}

- **a storm of 429**: for ${stormSeconds} s the simulator refuses all calls, and then allows the full rate again. **at 90 % of the rate after**: from its end
  to the end of the first second in which at least ${recoveredShare * 100} % of what all instances may have was accepted.
- **a worker killed**: by SIGKILL, the one with more to do. **all called again after**: from the kill until the last of all instances
  was called; target: ${mostTakeOverSeconds} s. **lost**: without an answer when all work was done. **called twice**: contacts that were called
  again; no more than those that were **called, not saved** at the kill, of which those **in flight** hung up with the process.
- **over budget**: calls that arrived when their instance had had ${requestsPerSecond} or more within the second before, refused ones included;
  **429s**: those that were refused. The simulator's **lag** makes some calls look closer together than they were.
- **budget used**: accepted calls in relation to the rate.

\`\`\`sh
npm run bench:recovery -- --write
npm run bench:recovery -- --only kill --backend postgres
\`\`\`

It needs what \`bench:budget\` needs. The exit code is 1 when a target is missed.
`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
