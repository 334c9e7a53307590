// npm run bench:import: a million contacts of a file by `avatars import`, against psql with the same file.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeRun } from "./describe-run.ts";
import { readCpuMs, readPeakRssMb } from "./machine.ts";
import { readOptionsOrExit, toNumber } from "./options.ts";
import { startAvatars } from "./processes.ts";
import { assertRows, contactsSql, importByPsql, time, writeChats } from "./psql-baseline.ts";
import { runBench, withCloser, type Bench } from "./run-bench.ts";
import { openServers, toInstanceIds, type Scene, type Servers } from "./servers.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:import -- [options]
  --contacts NUMBER   lines of the file (default: 1000000)
  --rounds NUMBER     how often each is measured, in alternation (default: 2)
  --sorted            the lines in the order of their chat ids (default: in none, as in a customer list)
  --markdown          the table as Markdown
  --write             also write bench/RESULTS.md
`;

/** Of psql's time. */
const mostTimes = 2;
const mostRssMb = 200;
const sampleMs = 50;
/** Never called: there is no worker. */
const apiUrl = "http://127.0.0.1:9";

interface Options {
  readonly contacts: number;
  readonly rounds: number;
  readonly sorted: boolean;
  readonly markdown: boolean;
  readonly write: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      contacts: { type: "string", default: "1000000" },
      rounds: { type: "string", default: "2" },
      sorted: { type: "boolean", default: false },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    contacts: toNumber("--contacts", values.contacts, 1_000, 9_000_000),
    rounds: toNumber("--rounds", values.rounds, 1, 20),
  };
}

interface Run {
  readonly name: string;
  readonly seconds: number;
  readonly postgresCpuSeconds: number;
  /** Of the command. */
  readonly own?: { readonly cpuSeconds: number; readonly peakRssMb: number };
}

interface Measuring {
  readonly options: Options;
  readonly servers: Servers;
  readonly file: string;
  readonly bench: Bench;
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-bench-import-"));
  bench.closer.add("files", () => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "contacts.csv");
  const { contacts, sorted } = options;
  await writeChats({ path: file, contacts, sorted, head: "chat_id", toLine: (chatId) => chatId });
  const measuring = { options, servers, file, bench };
  const rounds: [own: Run, psql: Run][] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const own = await measureImport(measuring);
    const psql = await measurePsql(measuring);
    rounds.push([own, psql]);
    for (const { name, seconds } of [own, psql])
      bench.note(`${round}/${options.rounds}: ${name}, ${seconds.toFixed(1)} s`);
  }
  const table = toTable(rounds, options);
  const verdict = toVerdict(rounds);
  console.log(`${(options.markdown ? toMarkdown : toText)(table)}\n\n${verdict.text}`);
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:import", toReport(table, verdict.text, { options, servers, minutes }));
    bench.note(`written: ${resultsFile}`);
  }
  return verdict.failed ? 1 : 0;
}

/** An empty database each, with nothing left to write to disk from the one before. */
async function withScene<T>(
  { servers }: Measuring,
  work: (scene: Scene, instanceId: string) => Promise<T>,
): Promise<T> {
  return withCloser(async (closer) => {
    const [instanceId = ""] = toInstanceIds(1);
    const scene = await servers.openScene({ backend: "postgres", instanceIds: [instanceId], apiUrl });
    closer.add("scene", () => scene.close());
    await servers.checkpoint();
    return work(scene, instanceId);
  });
}

async function measureImport(measuring: Measuring): Promise<Run> {
  const { options, servers, file } = measuring;
  return withScene(measuring, async (scene, instanceId) => {
    let own = { cpuSeconds: 0, peakRssMb: 0 };
    const [seconds, postgresCpuSeconds] = await time(servers, async () => {
      const command = startAvatars(["import", file, "--instance", instanceId], scene.env);
      // There is nothing to read of a process that has ended.
      const sample = () => {
        const cpuSeconds = readCpuMs(command.pid) / 1000;
        const peakRssMb = readPeakRssMb(command.pid);
        if (peakRssMb > 0) own = { cpuSeconds, peakRssMb };
      };
      const sampling = setInterval(sample, sampleMs);
      await command.ended().finally(() => clearInterval(sampling));
    });
    await assertRows(scene, "contacts", options.contacts);
    await assertRows(scene, "batch_members", options.contacts);
    return { name: "avatars import", seconds, postgresCpuSeconds, own };
  });
}

async function measurePsql(measuring: Measuring): Promise<Run> {
  const { options, servers, file, bench } = measuring;
  return withScene(measuring, async (scene, instanceId) => {
    const copy = { file, isCsv: true, sql: contactsSql, instanceId, signal: bench.signal };
    const [seconds, postgresCpuSeconds] = await time(servers, () => importByPsql(scene, copy));
    await assertRows(scene, "contacts", options.contacts);
    return { name: "psql", seconds, postgresCpuSeconds };
  });
}

function toTable(rounds: readonly [Run, Run][], { contacts }: Options): Table {
  const toCells = (run: Run, psql: Run) => [
    run.name,
    `${run.seconds.toFixed(1)} s`,
    String(Math.round(contacts / run.seconds)),
    (run.seconds / psql.seconds).toFixed(2),
    `${run.postgresCpuSeconds.toFixed(1)} s`,
    run.own ? `${run.own.cpuSeconds.toFixed(1)} s` : "–",
    run.own ? `${run.own.peakRssMb.toFixed(0)} MB` : "–",
  ];
  return {
    header: [
      `${contacts} contacts`,
      "time",
      "per second",
      "× psql",
      "Postgres CPU",
      "own CPU",
      "RSS at most",
    ],
    rows: rounds.flatMap(([own, psql]) => [toCells(own, psql), toCells(psql, psql)]),
  };
}

function toVerdict(rounds: readonly [Run, Run][]): { readonly text: string; readonly failed: boolean } {
  const times = sum(rounds.map(([own]) => own.seconds)) / sum(rounds.map(([, psql]) => psql.seconds));
  const rssMb = Math.max(...rounds.map(([{ own }]) => own?.peakRssMb ?? 0));
  const [isFast, isSmall] = [times <= mostTimes, rssMb <= mostRssMb];
  return {
    text: [
      `Time, all rounds: ${times.toFixed(2)} times psql's; target: at most ${mostTimes}: ${mark(isFast)}.`,
      `RSS: ${rssMb.toFixed(0)} MB at most; target: at most ${mostRssMb} MB: ${mark(isSmall)}.`,
    ].join("\n\n"),
    failed: !isFast || !isSmall,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

function toReport(
  table: Table,
  verdict: string,
  { options, servers, minutes }: { options: Options; servers: Servers; minutes: number },
): string {
  return `${describeRun({ minutes, servers })}

Each row: an empty database with all its indexes, and a CSV file with ${options.contacts} new chat ids ${options.sorted ? "in their order" : "in no order"}. \`avatars import\`,
from the start of its process to its end, writes contacts, a batch and its members, in chunks that are committed one by one. \`psql\` writes
the contacts alone, with \`\\copy\` into a temporary table and one \`INSERT … ON CONFLICT\`, in one transaction. Both share the machine with Postgres.

${toMarkdown(table)}

${verdict}

\`\`\`sh
npm run bench:import -- --write
npm run bench:import -- --contacts 100000 --rounds 1
\`\`\`

It needs Linux, the embedded Postgres, and \`psql\` in the path. The exit code is 1 when a target is missed.
`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
