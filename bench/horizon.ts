// npm run bench:horizon: whether a contact costs Postgres as much at the end of a long import as at its beginning, whatever is
// open beside it.
import { parseArgs } from "node:util";
import { describeRun } from "./describe-run.ts";
import { chooseDumper, type Dumper } from "./horizon/beside.ts";
import { besideNames, toGrowth, type BesideName, type HorizonFigures } from "./horizon/figures.ts";
import { measureHorizon } from "./horizon/measure-horizon.ts";
import { OptionError, readOptionsOrExit, toNumber, toBackend, toNames } from "./options.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { openServers, type Backend, type Servers } from "./servers.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:horizon -- [options]
  --contacts NUMBER   of one instance, in each run (default: 200000)
  --rate NUMBER       calls per second (default: 1000)
  --only LIST         some of ${besideNames.join(",")} (default: all, one after the other)
  --backend NAME      of the queue: redis or postgres (default: redis where redis-server is installed)
  --markdown          the table as Markdown
  --write             also write bench/RESULTS.md, with all rows
`;

const mostGrowth = 1.1;

interface Options {
  readonly contacts: number;
  readonly requestsPerSecond: number;
  readonly only: readonly BesideName[];
  readonly backend: Backend | undefined;
  readonly markdown: boolean;
  readonly write: boolean;
}

/** @throws OptionError; Node's own TypeError on options that are none */
function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      contacts: { type: "string", default: "200000" },
      rate: { type: "string", default: "1000" },
      only: { type: "string" },
      backend: { type: "string" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const { only } = values;
  const backend = toBackend(values.backend);
  if (values.write && only !== undefined) throw new OptionError("--write is for all rows: leave --only out");
  return {
    contacts: toNumber("--contacts", values.contacts, 1_000, 800_000),
    requestsPerSecond: toNumber("--rate", values.rate, 10, 10_000),
    only: toNames(only, besideNames),
    backend,
    markdown: values.markdown,
    write: values.write,
  };
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const backend = options.backend ?? (servers.redis ? "redis" : "postgres");
  const dumper = await chooseDumper(servers.postgres.version);
  const rows: HorizonFigures[] = [];
  for (const name of options.only) {
    const { contacts, requestsPerSecond } = options;
    bench.note(`${describe(name, dumper)}: about ${Math.ceil(contacts / requestsPerSecond / 60)} min`);
    rows.push(await measureHorizon(name, { ...options, servers, backend, dumper, bench }));
  }
  const table = toTable(rows, dumper);
  console.log((options.markdown ? toMarkdown : toText)(table));
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:horizon", toReport(table, { options, servers, backend, minutes, dumper }));
    bench.note(`written: ${resultsFile}`);
  }
  return rows.every(isMet) ? 0 : 1;
}

/** With nothing beside there is no target: the row is what the others are seen by. */
function isMet(figures: HorizonFigures): boolean {
  return figures.name === "nothing" || toGrowth(figures) <= mostGrowth;
}

function describe(name: BesideName, dumper: Dumper): string {
  if (name === "nothing") return "nothing beside";
  if (name === "snapshot") return "a snapshot, open";
  return dumper === "pg_dump" ? "pg_dump, again and again" : "dumps as pg_dump's, again and again";
}

function toTable(rows: readonly HorizonFigures[], dumper: Dumper): Table {
  return {
    header: [
      "beside",
      ...["1st quarter", "2nd", "3rd", "4th"].map((quarter) => `Postgres µs, ${quarter}`),
      "4th : 1st",
      "worker µs, 1st quarter",
      "4th",
      "calls/s",
      "budget used",
      `target: ≤ ${mostGrowth}`,
    ],
    rows: rows.map((row) => {
      const { quarters } = row;
      const calls = quarters.reduce((sum, { contacts }) => sum + contacts, 0);
      const seconds = quarters.reduce((sum, { contacts, perSecond }) => sum + contacts / perSecond, 0);
      return [
        describe(row.name, dumper),
        ...quarters.map(({ postgresUs }) => postgresUs.toFixed(0)),
        toGrowth(row).toFixed(2),
        quarters[0]?.workerUs.toFixed(0) ?? "–",
        quarters.at(-1)?.workerUs.toFixed(0) ?? "–",
        (calls / seconds).toFixed(0),
        `${(row.share * 100).toFixed(1)} %`,
        mark(row.name === "nothing" ? undefined : isMet(row)),
      ];
    }),
  };
}

interface ReportFacts {
  readonly options: Options;
  readonly servers: Servers;
  readonly backend: Backend;
  readonly minutes: number;
  readonly dumper: Dumper;
}

function toReport(table: Table, { options, servers, backend, minutes, dumper }: ReportFacts): string {
  const { contacts, requestsPerSecond } = options;
  const queue = backend === "redis" ? "Redis" : "Postgres";
  const dump =
    dumper === "pg_dump"
      ? "`pg_dump` of the schema"
      : "a dump as `pg_dump` makes it (the one here is older than the server and refuses it): `psql` locks all tables in `ACCESS SHARE` mode and copies them, in one snapshot";
  return `${describeRun({ minutes, servers })}

One instance of ${requestsPerSecond} calls per second at a provider that answers at once, the queue in ${queue}: ${contacts} contacts of an import in each run,
counted in quarters. Beside it goes on, from before the first call to the last: nothing; a transaction that is \`repeatable
read\`, has run one select, and stays open; ${dump}, one after the other, taken in at no more than some 1.6 MB a second.

${toMarkdown(table)}

- **Postgres µs**: CPU of Postgres with all its processes, vacuum and the dump's session included, for each contact of the quarter.
  Target: the last quarter takes at most ${mostGrowth} times the first, whatever is open.
- **budget used**: calls in relation to the rate.

\`\`\`sh
npm run bench:horizon -- --write
npm run bench:horizon -- --contacts 20000 --only snapshot
\`\`\`

It needs Linux, the embedded Postgres, \`psql\` or \`pg_dump\` and \`redis-server\` in the path. The exit code is 1 when the target is missed.
`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
