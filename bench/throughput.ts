// npm run bench:throughput: what one contact costs when nothing but the worker is the limit, beside the alternatives.
import { parseArgs } from "node:util";
import { describeRun } from "./describe-run.ts";
import { OptionError, readOptionsOrExit, toNumber, toNames } from "./options.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { openServers, type Servers } from "./servers.ts";
import { toMarkdown, toText, type Table } from "./table.ts";
import { listAlternatives } from "./throughput/alternatives.ts";
import { contenderNames, type Contender, type ContenderName } from "./throughput/contender.ts";
import { measureContender, type Round } from "./throughput/measure-contender.ts";
import { listOurs } from "./throughput/ours.ts";
import { listMisses, mostRssMb, mostTimesFloor, toMean, toTable, type Result } from "./throughput/report.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:throughput -- [options]
  --contacts NUMBER   looked up by each, in each round (default: 300000)
  --rounds NUMBER     how often, in turns (default: 2)
  --instances NUMBER  that ours has them of (default: 5)
  --only LIST         some of ${contenderNames.join(",")} (default: all)
  --markdown          the table as Markdown
  --write             also write bench/RESULTS.md, with all rows
`;

/** Looked up by each before anything is timed: whoever writes a wrong row is not measured. */
const checkedContacts = 2_000;

interface Options {
  readonly contacts: number;
  readonly rounds: number;
  readonly instances: number;
  readonly only: readonly ContenderName[] | undefined;
  readonly markdown: boolean;
  readonly write: boolean;
}

/** @throws OptionError; Node's own TypeError on options that are none */
function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      contacts: { type: "string", default: "300000" },
      rounds: { type: "string", default: "2" },
      instances: { type: "string", default: "5" },
      only: { type: "string" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  if (values.write && values.only !== undefined)
    throw new OptionError("--write is for all rows: leave --only out");
  return {
    contacts: toNumber("--contacts", values.contacts, 1_000, 1_000_000),
    rounds: toNumber("--rounds", values.rounds, 1, 20),
    instances: toNumber("--instances", values.instances, 1, 200),
    only: values.only === undefined ? undefined : toNames(values.only, contenderNames),
    markdown: values.markdown,
    write: values.write,
  };
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const contenders = chooseContenders(options, servers, bench);
  for (const contender of contenders) {
    bench.note(`checking ${contender.title}`);
    await measureContender(contender, { servers, contacts: checkedContacts, bench });
  }
  const rounds = await measureRounds(contenders, options, servers, bench);
  const results = contenders.map((contender): Result => ({
    name: contender.name,
    title: contender.title,
    ...toMean(rounds.get(contender) ?? []),
  }));
  const table = toTable(results);
  const misses = listMisses(results);
  console.log([(options.markdown ? toMarkdown : toText)(table), ...misses].join("\n"));
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:throughput", toReport(table, { options, servers, minutes, misses }));
    bench.note(`written: ${resultsFile}`);
  }
  return misses.length > 0 ? 1 : 0;
}

function chooseContenders({ instances, only }: Options, servers: Servers, bench: Bench): Contender[] {
  const all = [...listAlternatives(), ...listOurs(instances)];
  const withoutRedis = new Set<ContenderName>(["floor", "graphile", "postgres"]);
  if (servers.redis === undefined) bench.note("there is no redis-server: BullMQ on it is not measured");
  return contenderNames
    .filter((name) => only?.includes(name) ?? true)
    .filter((name) => servers.redis !== undefined || withoutRedis.has(name))
    .map((name) => all.find((contender) => contender.name === name))
    .filter((contender) => contender !== undefined);
}

/** Each goes first in another round. */
async function measureRounds(
  contenders: readonly Contender[],
  { rounds, contacts }: Options,
  servers: Servers,
  bench: Bench,
): Promise<Map<Contender, Round[]>> {
  const measured = new Map<Contender, Round[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round += 1) {
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const figures = await measureContender(contender, { servers, contacts, bench });
      measured.get(contender)?.push(figures);
      const { workerUs, allUs, perSecond } = figures;
      bench.note(
        `${round + 1}/${rounds}: ${contender.title}: worker ${workerUs.toFixed(0)} µs, all ${allUs.toFixed(0)} µs, ${perSecond.toFixed(0)}/s`,
      );
    }
  }
  return measured;
}

interface ReportFacts {
  readonly options: Options;
  readonly servers: Servers;
  readonly minutes: number;
  readonly misses: readonly string[];
}

function toReport(table: Table, { options, servers, minutes, misses }: ReportFacts): string {
  return `${describeRun({ minutes, servers })}

${options.contacts} contacts that are known and were never asked for, looked up by one worker process at a provider that answers at once
([instant-provider.ts](provider/instant-provider.ts), a process of its own): nothing but the worker is the limit. Each has its work before it is started, in an empty
database, and is measured from the first sixth of its calls to its last row; the mean of ${options.rounds} rounds, in which the order changes. All of
a contender's rows are checked, with ${checkedContacts} contacts before anything is timed, and after each round. Everything shares the machine.

${toMarkdown(table)}

${misses.map((miss) => `- MISSED: ${miss}.\n`).join("")}
- **worker µs**: CPU, user and system, of the worker process for each contact. Target of ours: at most ${mostTimesFloor} times the floor.
- **all processes µs**: that, and Postgres with all its processes, and Redis; without the provider. Target: less than those of the
  tuned BullMQ and graphile-worker.
- **RSS MB**: the most of the worker process at any time. Target: at most ${mostRssMb}.
- **ours**: \`avatars worker\` with ${options.instances} instances, each with a share of the contacts, a rate that it does not reach, and the floor's
  connections (\`AVATARS_MAX_IN_FLIGHT\`); all else as it comes.
- **floor**: [floor.ts](alternatives/floor.ts) reads chats by the page and writes answers by 500. Nothing is retried, paced, or done by two processes.
- **tuned**: [tuned-bullmq.ts](alternatives/tuned-bullmq.ts), [tuned-graphile.ts](alternatives/tuned-graphile.ts): a job for each contact, added in bulk; 300 jobs at a time, the floor's connections, a job
  completed when its row is committed with up to 99 others. BullMQ with auto-pipelining, graphile-worker with its local queue and
  jobs completed by the batch. **by the textbook**: [textbook-bullmq.ts](alternatives/textbook-bullmq.ts): \`fetch\`, and a row for each job.
- The alternatives know neither instances nor budgets, write one narrow row of what they found, and keep no history.

\`\`\`sh
npm run bench:throughput -- --write
npm run bench:throughput -- --contacts 20000 --rounds 1 --only floor,bullmq,redis
\`\`\`

It needs Linux, the embedded Postgres, and \`redis-server\` in the path. The exit code is 1 when a target is missed.
`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
