// npm run bench:ledger: whether a contact costs more where there are more of them.
import { parseArgs } from "node:util";
import { describeRun } from "./describe-run.ts";
import { ledgerKinds, measureLedger, totalRate, type LedgerFigures } from "./ledger/measure-ledger.ts";
import { readOptionsOrExit, toNumber, toBackend } from "./options.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { openServers, type Backend, type Servers } from "./servers.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:ledger -- [options]
  --sizes LIST        contacts in the table, ascending (default: 100000,1000000)
  --large             10000000 as well, which takes some 15 minutes more, and 10 GB of disk
  --seconds NUMBER    measured for each row (default: 30)
  --backend NAME      of the queue: redis or postgres (default: redis where redis-server is installed)
  --markdown          the table as Markdown
  --write             also write bench/RESULTS.md
`;

const largeSize = 10_000_000;
/** In relation to the smallest table. */
const mostGrowth = 1.1;

interface Options {
  readonly sizes: readonly number[];
  readonly seconds: number;
  readonly backend: Backend | undefined;
  readonly markdown: boolean;
  readonly write: boolean;
}

/** @throws OptionError; Node's own TypeError on options that are none */
function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      sizes: { type: "string", default: "100000,1000000" },
      large: { type: "boolean", default: false },
      seconds: { type: "string", default: "30" },
      backend: { type: "string" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const backend = toBackend(values.backend);
  const seconds = toNumber("--seconds", values.seconds, 1, 3600);
  const sizes = values.sizes.split(",").map((text) => toNumber("--sizes", text, 1_000, largeSize));
  return {
    sizes: values.large ? [...sizes, largeSize] : sizes,
    seconds,
    backend,
    markdown: values.markdown,
    write: values.write,
  };
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const backend = options.backend ?? (servers.redis ? "redis" : "postgres");
  const rows: LedgerFigures[] = [];
  for (const kind of ledgerKinds) {
    for (const size of options.sizes) {
      bench.note(`${size} contacts, ${kind}`);
      rows.push(await measureLedger(kind, size, { servers, backend, seconds: options.seconds, bench }));
    }
  }
  const table = toTable(rows);
  console.log((options.markdown ? toMarkdown : toText)(table));
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:ledger", toReport(table, { options, servers, backend, minutes }));
    bench.note(`written: ${resultsFile}`);
  }
  return rows.every((row) => isMet(row, rows)) ? 0 : 1;
}

/** In relation to the smallest table of its kind. */
function toGrowth(
  row: LedgerFigures,
  rows: readonly LedgerFigures[],
  key: "postgresUs" | "workerUs",
): number {
  const smallest = rows.find(({ kind }) => kind === row.kind) ?? row;
  return row[key] / smallest[key];
}

/** Contacts at random places have no target: each of them makes a page dirty that no other one shares in a large table. */
function isMet(row: LedgerFigures, rows: readonly LedgerFigures[]): boolean {
  if (row.kind === "known") return true;
  return (["postgresUs", "workerUs"] as const).every((key) => toGrowth(row, rows, key) <= mostGrowth);
}

function toTable(rows: readonly LedgerFigures[]): Table {
  const names = { new: "all new and due", known: "known, some asked again" };
  return {
    header: [
      "contacts",
      "in the table",
      "Postgres µs",
      "× the smallest",
      "worker µs",
      "× the smallest",
      "calls/s",
      `target: ≤ ${mostGrowth}`,
    ],
    rows: rows.map((row) => [
      names[row.kind],
      String(row.size),
      row.postgresUs.toFixed(0),
      toGrowth(row, rows, "postgresUs").toFixed(2),
      row.workerUs.toFixed(0),
      toGrowth(row, rows, "workerUs").toFixed(2),
      row.perSecond.toFixed(0),
      mark(row.kind === "known" ? undefined : isMet(row, rows)),
    ]),
  };
}

interface ReportFacts {
  readonly options: Options;
  readonly servers: Servers;
  readonly backend: Backend;
  readonly minutes: number;
}

function toReport(table: Table, { options, servers, backend, minutes }: ReportFacts): string {
  const queue = backend === "redis" ? "Redis" : "Postgres";
  return `${describeRun({ minutes, servers })}

One worker, ten instances, ${totalRate} calls a second in all at a provider that answers at once, the queue in ${queue}; measured for ${options.seconds} s, after
a vacuum and a checkpoint, for each size of the table of contacts.

${toMarkdown(table)}

- **all new and due**: imports that wait for their first lookups, and are worked off in their order.
- **known, some asked again**: contacts with answers and history, some thousand of which, at random places, are asked for again.
- **Postgres µs**, **worker µs**: CPU for each contact, of Postgres with all its processes. Target: no table more than ${mostGrowth} times the smallest. Contacts
  at random places have none: in a small table several of them share a page, and its image in the log.

\`\`\`sh
npm run bench:ledger -- --write
npm run bench:ledger -- --large
\`\`\`

It needs Linux, the embedded Postgres, and \`redis-server\` in the path. The exit code is 1 when the target is missed.
`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
