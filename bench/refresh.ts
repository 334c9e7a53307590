// npm run bench:refresh, or bench:latency: how long one contact that is asked for over HTTP waits while an import saturates its instance.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startApi, type BenchApi } from "./api.ts";
import { describeMachine } from "./machine.ts";
import { measure, type Figures } from "./measure.ts";
import { OptionError, readOptionsOrExit, toNumber, toBackend } from "./options.ts";
import { findPercentile } from "./percentile.ts";
import { startAvatars, until, type BenchProcess } from "./processes.ts";
import { runBench, withCloser, type Bench } from "./run-bench.ts";
import { enqueueImport, openServers, toInstanceIds, type Backend, type Servers } from "./servers.ts";
import { latencyMs, startBenchSimulator, type BenchSimulator } from "./simulator.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:refresh -- [options]
  --seconds NUMBER    how long contacts are asked for, for each row (default: 120)
  --every NUMBER      seconds between two of one instance, on average (default: 1)
  --instances NUMBER  side by side, each with its own import (default: 3)
  --contacts NUMBER   size of each import (default: 100000)
  --only COMMAND      serve, with a worker beside it, or up (default: one after the other)
  --backend NAME      of the queue: redis or postgres (default: redis where redis-server is installed)
  --markdown          the table as Markdown
  --write             also write bench/RESULTS.md
`;

const warmUpSeconds = 10;
const requestsPerSecond = 10;
/** From the request to the end of its answer, without the provider's part; and to its call. */
const targetP99Ms = 1_000;
const targetCallP99Ms = 250;
const wait = "15s";

type Command = "serve" | "up";

interface Options {
  readonly seconds: number;
  readonly everySeconds: number;
  readonly instances: number;
  readonly contacts: number;
  readonly commands: readonly Command[];
  readonly backend: Backend | undefined;
  readonly markdown: boolean;
  readonly write: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "120" },
      every: { type: "string", default: "1" },
      instances: { type: "string", default: "3" },
      contacts: { type: "string", default: "100000" },
      only: { type: "string" },
      backend: { type: "string" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const { only } = values;
  const backend = toBackend(values.backend);
  if (only !== undefined && only !== "serve" && only !== "up")
    throw new OptionError("--only takes serve or up");
  if (values.write && only !== undefined) throw new OptionError("--write is for all rows: leave --only out");
  return {
    seconds: toNumber("--seconds", values.seconds, 1, 3600),
    // Not so many that they wait for one another.
    everySeconds: toNumber("--every", values.every, 1, 3600),
    instances: toNumber("--instances", values.instances, 1, 50),
    contacts: toNumber("--contacts", values.contacts, 1000, 900_000),
    commands: only === undefined ? ["serve", "up"] : [only],
    backend,
    markdown: values.markdown,
    write: values.write,
  };
}

/** One refresh. */
interface Sample {
  readonly chatId: string;
  /** By the clock of the simulator's log, in ms since the epoch. */
  readonly askedAtMs: number;
  /** From the request until its answer had been read. */
  readonly tookMs: number;
  /** The answer is there: 200. */
  readonly isAnswered: boolean;
}

interface Row {
  readonly name: string;
  readonly figures: Figures;
  /** What the answers took beyond their calls, in ms, ascending; Infinity where the time was up before. */
  readonly addedMs: readonly number[];
  /** Until the call arrived, Infinity where none did; of those that were answered the call alone, and from its end; ascending. */
  readonly beforeMs: readonly number[];
  readonly callMs: readonly number[];
  readonly afterMs: readonly number[];
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const backend = options.backend ?? (servers.redis ? "redis" : "postgres");
  const rows: Row[] = [];
  for (const command of options.commands)
    rows.push(await measureCommand(command, backend, options, servers, bench));
  const table = toTable(rows);
  console.log(options.markdown ? toMarkdown(table) : toText(table));
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:refresh", toReport(table, { options, servers, backend, minutes }));
    bench.note(`written: ${resultsFile}`);
  }
  return rows.every(isMet) ? 0 : 1;
}

async function measureCommand(
  command: Command,
  backend: Backend,
  options: Options,
  servers: Servers,
  { signal, note }: Bench,
): Promise<Row> {
  return withCloser(async (closer) => {
    const simulator = await startBenchSimulator(0, signal);
    closer.add("simulator", () => simulator.kill());
    const instanceIds = toInstanceIds(options.instances);
    const scene = await servers.openScene({ backend, instanceIds, apiUrl: simulator.url });
    closer.add("scene", () => scene.close());
    for (const id of instanceIds) await enqueueImport(scene.client, id, options.contacts);
    const api = await startApi(command, scene, signal);
    closer.add("API", () => api.kill());
    const workers: BenchProcess[] = [api];
    if (command === "serve") {
      const worker = startAvatars(["worker"], scene.env);
      closer.add("worker", () => worker.kill());
      workers.push(worker);
    }
    await until(
      async () => {
        for (const process of workers) process.assertAlive();
        return (await simulator.stats()).calls > 0 || undefined;
      },
      { what: "the imports' first call", signal },
    );
    const name = command === "serve" ? "serve and worker" : "up";
    note(`${name}: ${options.instances} × ${options.contacts} contacts are worked off, queue in ${backend}`);
    await sleep(warmUpSeconds * 1000, undefined, { signal });
    note(`refreshes for ${options.seconds} s`);
    const [figures, ...sampled] = await Promise.all([
      measure({
        name,
        seconds: options.seconds,
        requestsPerSecond,
        instanceIds,
        workers,
        simulator,
        servers,
        signal,
      }),
      ...instanceIds.map((id) => refreshMany(api, id, options, signal)),
    ]);
    return { name, figures, ...(await readWaits(sampled.flat(), simulator)) };
  });
}

/**
 * At random moments, whether the one before is answered or not. In turn a contact that nobody knows, and one that waits at the
 * end of the import.
 */
async function refreshMany(
  api: BenchApi,
  instanceId: string,
  { seconds, everySeconds, contacts }: Options,
  signal: AbortSignal,
): Promise<Sample[]> {
  const samples: Promise<Sample>[] = [];
  const endAt = performance.now() + seconds * 1000;
  // The log is read by chat: no two instances may ask for the same one.
  const lane = Number(instanceId.slice(-3));
  for (let n = 1; ; n += 1) {
    await sleep(everySeconds * 1000 * (0.5 + Math.random()), undefined, { signal });
    if (performance.now() > endAt) return Promise.all(samples);
    const waiting = contacts - lane * 1_000 - n;
    const isKnown = n % 2 === 0 && waiting > contacts / 2;
    const digits = isKnown
      ? `7900${String(waiting).padStart(7, "0")}`
      : `7933${lane}${String(n).padStart(4, "0")}`;
    const sample = refresh(api, instanceId, `${digits}@c.us`, signal);
    // Met above.
    sample.catch(() => undefined);
    samples.push(sample);
  }
}

async function refresh(
  api: BenchApi,
  instanceId: string,
  chatId: string,
  signal: AbortSignal,
): Promise<Sample> {
  const startedMs = performance.now();
  const askedAtMs = performance.timeOrigin + startedMs;
  const path = `/v1/instances/${instanceId}/contacts/${chatId}/refresh?wait=${wait}`;
  const response = await fetch(api.url + path, { method: "POST", headers: api.headers, signal });
  const text = await response.text();
  const tookMs = performance.now() - startedMs;
  if (response.status !== 200 && response.status !== 202)
    throw new Error(`refresh: ${response.status} ${text}`);
  return { chatId, askedAtMs, tookMs, isAnswered: response.status === 200 };
}

/** The provider's own time is that of the last call: what came before it, refusals say, was waiting. */
async function readWaits(
  samples: readonly Sample[],
  simulator: BenchSimulator,
): Promise<Omit<Row, "name" | "figures">> {
  const waits = {
    addedMs: [] as number[],
    beforeMs: [] as number[],
    callMs: [] as number[],
    afterMs: [] as number[],
  };
  for (const { chatId, askedAtMs, tookMs, isAnswered } of samples) {
    const call = (await simulator.readCallsFor(chatId)).at(-1);
    waits.addedMs.push(call && isAnswered ? tookMs - call.tookMs : Infinity);
    const beforeMs = call === undefined ? Infinity : call.at - askedAtMs;
    waits.beforeMs.push(beforeMs);
    if (call === undefined || !isAnswered) continue;
    waits.callMs.push(call.tookMs);
    waits.afterMs.push(tookMs - beforeMs - call.tookMs);
  }
  for (const list of Object.values(waits)) list.sort(byNumber);
  return waits;
}

function byNumber(a: number, b: number): number {
  return a - b;
}

function isMet({ addedMs, beforeMs }: Row): boolean {
  return findPercentile(addedMs, 0.99) <= targetP99Ms && findPercentile(beforeMs, 0.99) <= targetCallP99Ms;
}

function toTable(rows: readonly Row[]): Table {
  return {
    header: [
      "processes",
      "refreshes",
      "added wait p50",
      "p90",
      "p99",
      "max",
      "before p50",
      "before p99",
      "call p50",
      "call p99",
      "after p50",
      "after p99",
      "budget used",
      "calls",
      "429s",
      "idle",
      `target: p99 ≤ ${targetP99Ms} ms, before ≤ ${targetCallP99Ms} ms`,
    ],
    rows: rows.map((row) => [
      row.name,
      String(row.addedMs.length),
      ...[0.5, 0.9, 0.99, 1].map((share) => toMs(findPercentile(row.addedMs, share))),
      ...[row.beforeMs, row.callMs, row.afterMs].flatMap((list) =>
        [0.5, 0.99].map((share) => toMs(findPercentile(list, share))),
      ),
      `${(row.figures.share * 100).toFixed(1)} %`,
      String(row.figures.calls),
      String(row.figures.refused),
      `${Math.round(row.figures.idle * 100)} %`,
      mark(isMet(row)),
    ]),
  };
}

function toMs(wait: number): string {
  return Number.isFinite(wait) ? `${Math.round(wait)} ms` : "never";
}

function toReport(
  table: Table,
  {
    options,
    servers,
    backend,
    minutes,
  }: { options: Options; servers: Servers; backend: Backend; minutes: number },
): string {
  const { instances, contacts, everySeconds } = options;
  const redis = servers.redis && backend === "redis" ? [`Redis ${servers.redis.version}`] : [];
  const facts = [...describeMachine(), `Postgres ${servers.postgres.version} (embedded)`, ...redis];
  return `Measured on ${new Date().toISOString().slice(0, 10)}, in ${minutes} minutes:

${facts.map((fact) => `- ${fact}`).join("\n")}

${instances} instances of ${requestsPerSecond} calls per second, each with an import of ${contacts} contacts that is worked off. Meanwhile each is asked with
\`POST …/contacts/{chatId}/refresh?wait=${wait}\` for one contact after the other, every ${everySeconds} s on average, at random moments, whether the
one before has its answer or not; half of them nobody knows yet, half wait at the end of the import. The simulator, in a
process of its own, answers in ${latencyMs} ms (median; 1 % take about 1.5 s longer). Everything shares the machine.

${toMarkdown(table)}

- **added wait**: from the request to the end of its answer, without what the simulator took for the call (**call**): what passed **before** the call arrived
  (target: p99 of at most ${targetCallP99Ms} ms), and **after** it was answered, until the answer to the refresh had been read.
- **budget used**, **calls**, **429s**: of all calls meanwhile, as with \`bench:budget\`. **idle**: of all cores.

\`\`\`sh
npm run bench:refresh -- --write
npm run bench:refresh -- --only up --seconds 30
\`\`\`

It needs what \`bench:budget\` needs. The exit code is 1 when a row misses its target.
`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
