// npm run bench:budget: how much of the provider's budget workers use, and how often they exceed it.
import { parseArgs } from "node:util";
import { calmTarget, jitterTarget, judge, slowTarget, type Target } from "./judge.ts";
import { describeMachine } from "./machine.ts";
import type { Figures } from "./measure.ts";
import { measureRow } from "./measure-row.ts";
import { OptionError, readOptionsOrExit, toNumber, toBackend } from "./options.ts";
import { columns, toTable } from "./report.ts";
import { chooseRows, nameRow, parseRowNames, type Row, type RowName } from "./rows.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { openServers, type Backend, type Servers } from "./servers.ts";
import { latencyMs } from "./simulator.ts";
import { toMarkdown, toText, type Table } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:budget -- [options]
  --only LIST         rows: instances x processes, such as 1x1,20x3, with -slow or -analyzed such as 200x1-slow, and bullmq
                      (default: all)
  --seconds NUMBER    measured for each row (default: 60)
  --warm-up NUMBER    seconds before (default: 10; with jitter 60, as the target is for what comes after a minute)
  --jitter NUMBER     ms, of the rows with jitter (default: 30), or of those named with --only (default: 0)
  --backend NAME      of the queue: redis or postgres (default: redis where redis-server is installed)
  --markdown          the tables as Markdown
  --write             also write bench/RESULTS.md, with all rows
`;

const bullmqWarmUpSeconds = 5;

interface Options {
  readonly only: readonly RowName[] | undefined;
  readonly seconds: number;
  readonly warmUpSeconds: number | undefined;
  readonly jitterMs: number | undefined;
  readonly backend: Backend | undefined;
  readonly markdown: boolean;
  readonly write: boolean;
}

/** @throws OptionError; Node's own TypeError on options that are none */
function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      seconds: { type: "string", default: "60" },
      "warm-up": { type: "string" },
      jitter: { type: "string" },
      backend: { type: "string" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const backend = toBackend(values.backend);
  if (values.write && values.only !== undefined)
    throw new OptionError("--write is for all rows: leave --only out");
  return {
    only: values.only === undefined ? undefined : parseRowNames(values.only),
    seconds: toNumber("--seconds", values.seconds, 1, 3600),
    warmUpSeconds: toOptional("--warm-up", values["warm-up"], 3600),
    jitterMs: toOptional("--jitter", values.jitter, 1000),
    backend,
    markdown: values.markdown,
    write: values.write,
  };
}

function toOptional(name: string, text: string | undefined, max: number): number | undefined {
  return text === undefined ? undefined : toNumber(name, text, 0, max);
}

interface Section {
  readonly heading: string;
  readonly intro: string;
  readonly rows: Figures[];
  readonly target: Target | undefined;
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const backend = options.backend ?? (servers.redis ? "redis" : "postgres");
  const { only, jitterMs } = options;
  const rows = chooseRows({ backend, only, jitterMs, hasRedis: servers.redis !== undefined });
  if (servers.redis === undefined)
    bench.note(
      "there is no redis-server: the queue is in Postgres, and BullMQ's own limiter is not measured",
    );
  bench.note(`${rows.length} rows, about ${estimateMinutes(rows, options)} min`);

  const measured: [Row, Figures][] = [];
  for (const [index, row] of rows.entries()) {
    const seconds = options.seconds;
    const warmUpSeconds = chooseWarmUp(row, options);
    bench.note(`${index + 1}/${rows.length}: ${describe(row)}, ${warmUpSeconds} s warm-up, ${seconds} s`);
    const figures = await measureRow(row, { servers, bench, seconds, warmUpSeconds });
    measured.push([row, figures]);
    const share = (figures.share * 100).toFixed(1);
    bench.note(`  ${share} % of the budget, ${figures.refused} of ${figures.calls} calls refused`);
  }
  const sections = toSections(measured, backend).filter((section) => section.rows.length > 0);
  const tables = sections.map(toSectionTable);
  console.log(tables.map(options.markdown ? toMarkdown : toText).join("\n\n"));
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeAll(sections, { servers, minutes, options });
    bench.note(`written: ${resultsFile}`);
  }
  const failed = sections.some(({ rows, target }) =>
    rows.some((figures) => target !== undefined && judge(figures, target).failed),
  );
  return failed ? 1 : 0;
}

function toSectionTable({ rows, target }: Section): Table {
  return toTable(
    target === undefined ? "limiter, instances × processes" : "instances × processes",
    rows,
    target,
  );
}

function chooseWarmUp(row: Row, { warmUpSeconds }: Options): number {
  if (warmUpSeconds !== undefined) return warmUpSeconds;
  if (row.kind === "bullmq") return bullmqWarmUpSeconds;
  return row.jitterMs > 0 ? 60 : 10;
}

/** With what a row needs to be set up, about 1 s and 2 s for each 100 instances. */
function estimateMinutes(rows: readonly Row[], options: Options): number {
  const seconds = rows.map((row) => {
    const setUp = row.kind === "product" ? 5 + row.instances / 20 : 2;
    return setUp + chooseWarmUp(row, options) + options.seconds;
  });
  return Math.ceil(seconds.reduce((sum, one) => sum + one, 0) / 60);
}

function describe(row: Row): string {
  if (row.kind === "bullmq") return `BullMQ's limiter, ${nameRow(row)}`;
  const slow = row.special === undefined ? "" : ", slow answers";
  return `${nameRow(row)} on ${row.backend}${slow}${row.jitterMs > 0 ? `, ${row.jitterMs} ms of jitter` : ""}`;
}

function toSections(measured: readonly [Row, Figures][], backend: Backend): Section[] {
  const select = (belongs: (row: Row) => boolean) =>
    measured.filter(([row]) => belongs(row)).map(([, figures]) => figures);
  const jitterMs = Math.max(...measured.map(([row]) => (row.kind === "product" ? row.jitterMs : 0)));
  const queue = backend === "redis" ? "Redis" : "Postgres";
  return [
    {
      heading: "contact-avatars",
      intro: `Workers (\`avatars worker\`) with the queue in ${queue}. Target: at least 98 % of the budget, and at most one 429 in 2,000 calls.`,
      rows: select((row) => row.kind === "product" && row.jitterMs === 0 && row.special === undefined),
      target: calmTarget,
    },
    {
      heading: "contact-avatars with slow answers",
      intro: `Answers take 150 to 900 ms (19 of 20; 370 ms in the median), so that many calls are in flight. **analyzed while empty**: after a \`VACUUM ANALYZE\` that saw contacts, and no avatar yet. Target: at least 98 % of the budget, at most one 429 in 2,000 calls, and no worker with more than ${slowTarget.mostRssMb} MB.`,
      rows: select((row) => row.kind === "product" && row.jitterMs === 0 && row.special !== undefined),
      target: slowTarget,
    },
    {
      heading: `contact-avatars with ${jitterMs} ms of network jitter`,
      intro: `Each call takes 0 to ${jitterMs} ms at random before it meets the limit. Target after the first minute: at least 95 %, and at most one 429 in 1,000 calls.`,
      rows: select((row) => row.kind === "product" && row.jitterMs > 0),
      target: jitterTarget,
    },
    {
      heading: "BullMQ's own limiter",
      intro:
        "A BullMQ `Worker` on Redis with its `limiter`, `concurrency: 50`, one job and one call per contact, nothing stored, a refused call not repeated: [bullmq-limiter-worker.ts](bullmq-limiter-worker.ts). One instance, since the limiter counts a queue.",
      rows: select((row) => row.kind === "bullmq"),
      target: undefined,
    },
  ];
}

async function writeAll(
  sections: readonly Section[],
  { servers, minutes, options }: { servers: Servers; minutes: number; options: Options },
): Promise<void> {
  const { warmUpSeconds, seconds } = options;
  const warmUp =
    warmUpSeconds === undefined
      ? `10 s (60 s with jitter, ${bullmqWarmUpSeconds} s for BullMQ)`
      : `${warmUpSeconds} s`;
  const redis = servers.redis
    ? `Redis ${servers.redis.version}`
    : "no Redis: BullMQ's limiter was not measured";
  const text = `Measured on ${new Date().toISOString().slice(0, 10)}, in ${minutes} minutes:

${[...describeMachine(), `Postgres ${servers.postgres.version} (embedded)`, redis].map((line) => `- ${line}`).join("\n")}

Each row: an empty database, contacts enough for the whole time with \`avatars.enqueue\`, fresh processes; after a warm-up of
${warmUp} ${seconds} s are counted by the simulator, in a process of its own. It allows 10 calls in any
sliding second, strictly, and answers in ${latencyMs} ms (median; 1 % take about 1.5 s longer) without faults. Postgres, Redis,
simulator and workers share the machine.

${sections.map((section) => `## ${section.heading}\n\n${section.intro}\n\n${toMarkdown(toSectionTable(section))}`).join("\n\n")}

## The columns

${columns}

## Do it again

\`\`\`sh
npm run bench:budget -- --write
npm run bench:budget -- --only 20x1,20x3 --seconds 20
npm run bench:budget -- --only 200x1-slow,200x1-analyzed
npm run bench:budget -- --only 20x1 --jitter 30
npm run bench:budget -- --only 1x1 --backend postgres
\`\`\`

It needs Linux, the embedded Postgres, and \`redis-server\` in the path; it starts its own servers on free ports. The first
takes about ${minutes} minutes and replaces this part. The exit code is 1 when a row misses its target with CPU left.
`;
  await writeResults("bench:budget", text);
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
