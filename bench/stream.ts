// npm run bench:stream: a million contacts as one NDJSON stream, against psql with the same rows.
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Closer } from "../src/lib/closing/closer.ts";
import { startApi, type BenchApi } from "./api.ts";
import { describeMachine, readCpuMs, readRssMb } from "./machine.ts";
import { OptionError, readOptionsOrExit, toNumber } from "./options.ts";
import { assertRows, contactsSql, importByPsql, membersSql, time, writeChats } from "./psql-baseline.ts";
import { runBench, withCloser, type Bench } from "./run-bench.ts";
import { openServers, toInstanceIds, type Scene, type Servers } from "./servers.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:stream -- [options]
  --contacts NUMBER   lines of the stream (default: 1000000)
  --rounds NUMBER     how often each is measured, in alternation (default: 2)
  --sorted            the lines in the order of their chat ids (default: in none, as in a customer list)
  --cpu-prof DIR      writes a CPU profile of each API process into this folder, which slows it down
  --markdown          the table as Markdown
  --write             also write bench/RESULTS.md
`;

const targetGrowthMb = 100;
/** Of the speed of psql. */
const targetSpeed = 0.5;
const sampleMs = 50;
const settleMs = 1_000;
/** Nobody calls it: there is no worker. */
const apiUrl = "http://127.0.0.1:9";

interface Options {
  readonly contacts: number;
  readonly rounds: number;
  readonly sorted: boolean;
  readonly profileFolder: string | undefined;
  readonly markdown: boolean;
  readonly write: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      contacts: { type: "string", default: "1000000" },
      rounds: { type: "string", default: "2" },
      sorted: { type: "boolean", default: false },
      "cpu-prof": { type: "string" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const { "cpu-prof": profileFolder } = values;
  if (values.write && profileFolder !== undefined)
    throw new OptionError("--write is for what is not slowed down: leave --cpu-prof out");
  return {
    contacts: toNumber("--contacts", values.contacts, 1_000, 9_000_000),
    rounds: toNumber("--rounds", values.rounds, 1, 20),
    sorted: values.sorted,
    profileFolder,
    markdown: values.markdown,
    write: values.write,
  };
}

/** The same contacts in two formats. */
interface Files {
  /** One JSON object with a chat id per line. */
  readonly ndjson: string;
  /** One chat id per line, as COPY reads it. */
  readonly copy: string;
}

interface Run {
  readonly name: string;
  readonly seconds: number;
  readonly postgresCpuSeconds: number;
  /** Of the API. */
  readonly api?: { readonly cpuSeconds: number; readonly rssBeforeMb: number; readonly rssMaxMb: number };
}

interface Round {
  readonly stream: Run;
  readonly psql: Run;
  readonly psqlWithMembers: Run;
}

interface Measuring {
  readonly options: Options;
  readonly servers: Servers;
  readonly files: Files;
  readonly bench: Bench;
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const files = await writeFiles(options, bench.closer);
  const measuring = { options, servers, files, bench };
  const rounds: Round[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const stream = await measureStream(measuring);
    const psql = await measurePsql(measuring, "psql: contacts", contactsSql);
    const psqlWithMembers = await measurePsql(measuring, "psql: contacts and batch", membersSql);
    rounds.push({ stream, psql, psqlWithMembers });
    for (const { name, seconds } of [stream, psql, psqlWithMembers])
      bench.note(`${round}/${options.rounds}: ${name}, ${seconds.toFixed(1)} s`);
  }
  const table = toTable(rounds, options);
  console.log(options.markdown ? toMarkdown(table) : toText(table));
  const verdict = toVerdict(rounds);
  console.log(`\n${verdict.text}`);
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:stream", toReport(table, verdict.text, { options, servers, minutes }));
    bench.note(`written: ${resultsFile}`);
  }
  return verdict.failed ? 1 : 0;
}

async function writeFiles({ contacts, sorted }: Options, closer: Closer): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-bench-stream-"));
  closer.add("files", () => rm(folder, { recursive: true, force: true }));
  const files = { ndjson: join(folder, "contacts.ndjson"), copy: join(folder, "contacts.copy") };
  const common = { contacts, sorted, head: "" };
  await writeChats({
    ...common,
    path: files.ndjson,
    toLine: (chatId) => JSON.stringify({ chatId }),
  });
  await writeChats({ ...common, path: files.copy, toLine: (chatId) => chatId });
  return files;
}

/** An empty database each, with nothing left to write to disk from the one before. */
async function withScene<T>(
  { servers }: Measuring,
  work: (scene: Scene, instanceId: string, closer: Closer) => Promise<T>,
): Promise<T> {
  return withCloser(async (closer) => {
    const instanceIds = toInstanceIds(1);
    const backend = servers.redis ? "redis" : "postgres";
    const scene = await servers.openScene({ backend, instanceIds, apiUrl });
    closer.add("scene", () => scene.close());
    await scene.client.query("checkpoint");
    return work(scene, instanceIds[0]!, closer);
  });
}

async function measureStream(measuring: Measuring): Promise<Run> {
  const { options, servers, files, bench } = measuring;
  return withScene(measuring, async (scene, instanceId, closer) => {
    const { profileFolder } = options;
    const nodeOptions = profileFolder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`];
    const api = await startApi("serve", scene, bench.signal, nodeOptions);
    closer.add("API", () => api.kill());
    // One small batch, so that what every API loads is there.
    await post(api, "/v1/batches", "application/json", [
      JSON.stringify({ instanceId, chatIds: ["79111111111"] }),
    ]);
    await sleep(settleMs, undefined, { signal: bench.signal });

    const rssBeforeMb = readRssMb(api.pid);
    let rssMaxMb = rssBeforeMb;
    const sampling = setInterval(() => (rssMaxMb = Math.max(rssMaxMb, readRssMb(api.pid))), sampleMs);
    closer.add("sampling", () => clearInterval(sampling));
    const cpuBeforeMs = readCpuMs(api.pid);
    const [seconds, postgresCpuSeconds, answer] = await time(servers, () =>
      post(
        api,
        `/v1/batches?instanceId=${instanceId}`,
        "application/x-ndjson",
        createReadStream(files.ndjson),
      ),
    );
    const cpuSeconds = (readCpuMs(api.pid) - cpuBeforeMs) / 1000;
    const { accepted } = JSON.parse(answer).counts;
    if (accepted !== options.contacts)
      throw new Error(`${accepted} contacts accepted of ${options.contacts}`);
    await assertRows(scene, "batch_members", options.contacts + 1);
    if (profileFolder !== undefined) await stopToProfile(api);
    return {
      name: "POST /v1/batches",
      seconds,
      postgresCpuSeconds,
      api: { cpuSeconds, rssBeforeMb, rssMaxMb },
    };
  });
}

/** The profile is written at the process's own end. */
async function stopToProfile(api: BenchApi): Promise<void> {
  process.kill(api.pid, "SIGTERM");
  await sleep(5_000);
}

/** Returns the answer's body. @throws for all but 202 */
async function post(api: BenchApi, path: string, type: string, body: Iterable<string> | Readable) {
  const sent = request(api.url + path, {
    method: "POST",
    headers: { ...api.headers, "content-type": type },
  });
  const answered = once(sent, "response") as Promise<[IncomingMessage]>;
  const [[response]] = await Promise.all([answered, pipeline(body, sent)]);
  const answer = await text(response);
  if (response.statusCode !== 202) throw new Error(`POST ${path}: ${response.statusCode} ${answer}`);
  return answer;
}

async function measurePsql(measuring: Measuring, name: string, sql: string): Promise<Run> {
  const { options, servers, files, bench } = measuring;
  return withScene(measuring, async (scene, instanceId) => {
    const copy = { file: files.copy, isCsv: false, sql, instanceId, signal: bench.signal };
    const [seconds, postgresCpuSeconds] = await time(servers, () => importByPsql(scene, copy));
    await assertRows(scene, "contacts", options.contacts);
    return { name, seconds, postgresCpuSeconds };
  });
}

function toTable(rounds: readonly Round[], { contacts }: Options): Table {
  const toCells = (run: Run, { psql }: Round) => [
    run.name,
    `${run.seconds.toFixed(1)} s`,
    String(Math.round(contacts / run.seconds)),
    `${((psql.seconds / run.seconds) * 100).toFixed(0)} %`,
    `${run.postgresCpuSeconds.toFixed(1)} s`,
    run.api ? `${run.api.cpuSeconds.toFixed(1)} s` : "",
    run.api ? `${run.api.rssBeforeMb.toFixed(0)} MB` : "",
    run.api ? `${run.api.rssMaxMb.toFixed(0)} MB` : "",
    run.api ? `+${toGrowthMb(run).toFixed(0)} MB` : "",
  ];
  return {
    header: [
      `${contacts} contacts`,
      "time",
      "per second",
      "speed of psql's",
      "Postgres CPU",
      "API CPU",
      "RSS before",
      "RSS at most",
      "growth",
    ],
    rows: rounds.flatMap((round) =>
      [round.stream, round.psql, round.psqlWithMembers].map((run) => toCells(run, round)),
    ),
  };
}

function toGrowthMb({ api }: Run): number {
  return api ? api.rssMaxMb - api.rssBeforeMb : 0;
}

function toVerdict(rounds: readonly Round[]): { readonly text: string; readonly failed: boolean } {
  const toSeconds = (toRun: (round: Round) => Run) =>
    rounds.reduce((sum, round) => sum + toRun(round).seconds, 0);
  const streamSeconds = toSeconds(({ stream }) => stream);
  const speed = toSeconds(({ psql }) => psql) / streamSeconds;
  const speedWithMembers = toSeconds(({ psqlWithMembers }) => psqlWithMembers) / streamSeconds;
  const growthMb = Math.max(...rounds.map(({ stream }) => toGrowthMb(stream)));
  const isFast = speed >= targetSpeed;
  const isSmall = growthMb < targetGrowthMb;
  return {
    text: [
      `Speed, all rounds: ${(speed * 100).toFixed(0)} % of psql's (${(speedWithMembers * 100).toFixed(0)} % where psql writes the batch too); target: at least ${targetSpeed * 100} %: ${mark(isFast)}.`,
      `RSS of the API: ${growthMb.toFixed(0)} MB more at most; target: less than ${targetGrowthMb} MB: ${mark(isSmall)}.`,
    ].join("\n"),
    failed: !isFast || !isSmall,
  };
}

function toReport(
  table: Table,
  verdict: string,
  { options, servers, minutes }: { options: Options; servers: Servers; minutes: number },
): string {
  const facts = [...describeMachine(), `Postgres ${servers.postgres.version} (embedded)`];
  return `Measured on ${new Date().toISOString().slice(0, 10)}, in ${minutes} minutes:

${facts.map((fact) => `- ${fact}`).join("\n")}

Each row: an empty database with all its indexes, and ${options.contacts} new chat ids ${options.sorted ? "in their order" : "in no order"}. \`POST /v1/batches\` takes them
as one NDJSON stream into \`avatars serve\`, a process of its own, in chunks that are committed one by one, with the batch and its
members. \`psql\` does the same contacts with \`\\copy\` into a temporary table and one \`INSERT … ON CONFLICT\`, in one
transaction; the target is measured by that which writes contacts alone. Sender, API and Postgres share the machine.

${toMarkdown(table)}

${verdict.replaceAll("\n", "\n\n")}

- **speed of psql's**: the speed in relation to \`psql: contacts\` of the same round.
- **RSS before**: of the API process after one small batch; **RSS at most**: the largest of the values read every ${sampleMs} ms
  until the answer.

\`\`\`sh
npm run bench:stream -- --write
npm run bench:stream -- --contacts 100000 --rounds 1
\`\`\`

It needs Linux, the embedded Postgres, and \`psql\` in the path. The exit code is 1 when a target is missed.
`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
