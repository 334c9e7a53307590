// npm run bench:priority: how long an urgent contact waits for its call while an import saturates the instance.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import type pg from "pg";
import type { Closer } from "../src/lib/closing/closer.ts";
import { requestsQueueName } from "../src/queue/names.ts";
import { measure } from "./measure.ts";
import { readOptionsOrExit, toNumber, toBackend } from "./options.ts";
import { findPercentile } from "./percentile.ts";
import { startAvatars, until } from "./processes.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { enqueueImport, openServers, toInstanceIds, type Backend } from "./servers.ts";
import { startBenchSimulator, type BenchSimulator } from "./simulator.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";

const usage = `npm run bench:priority -- [options]
  --seconds NUMBER    how long urgent contacts arrive (default: 180)
  --every NUMBER      seconds between two of one producer, on average (default: 1.5)
  --contacts NUMBER   size of the import (default: 100000)
  --backend NAME      of the queue: redis or postgres (default: redis where redis-server is installed)
  --markdown          the table as Markdown
`;

const warmUpSeconds = 10;
const requestsPerSecond = 10;
const targetP99Ms = 1_000;
/** An urgent contact that has not been called by then, after the end, counts as never. */
const lastWaitMs = 30_000;

interface Options {
  readonly seconds: number;
  readonly everySeconds: number;
  readonly contacts: number;
  readonly backend: Backend | undefined;
  readonly markdown: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "180" },
      every: { type: "string", default: "1.5" },
      contacts: { type: "string", default: "100000" },
      backend: { type: "string" },
      markdown: { type: "boolean", default: false },
    },
  });
  const backend = toBackend(values.backend);
  return {
    seconds: toNumber("--seconds", values.seconds, 1, 3600),
    everySeconds: toNumber("--every", values.every, 0.3, 3600),
    contacts: toNumber("--contacts", values.contacts, 1000, 900_000),
    backend,
    markdown: values.markdown,
  };
}

/** A way in for one urgent contact. */
interface Producer {
  readonly name: string;
  /** The start of its chats' numbers. */
  readonly digits: string;
  /** Resolves with the moment, in ms since the epoch, from which on the contact is accepted. */
  send(chatId: string): Promise<number>;
}

interface Sample {
  readonly chatId: string;
  readonly acceptedAtMs: number;
}

async function main(options: Options, bench: Bench): Promise<number> {
  const { closer, signal, note } = bench;
  const servers = await openServers(closer, signal);
  const backend = options.backend ?? (servers.redis ? "redis" : "postgres");
  const simulator = await startBenchSimulator(0, signal);
  closer.add("simulator", () => simulator.kill());
  const instanceIds = toInstanceIds(1);
  const [instanceId = ""] = instanceIds;
  const scene = await servers.openScene({ backend, instanceIds, apiUrl: simulator.url });
  closer.add("scene", () => scene.close());
  await enqueueImport(scene.client, instanceId, options.contacts);
  const worker = startAvatars(["worker"], scene.env);
  closer.add("worker", () => worker.kill());
  await until(
    async () => {
      worker.assertAlive();
      return (await simulator.stats()).calls > 0 || undefined;
    },
    { what: "the import's first call", signal },
  );
  note(`an import of ${options.contacts} contacts is worked off, queue in ${backend}`);
  await sleep(warmUpSeconds * 1000, undefined, { signal });

  const producers = [createSqlProducer(scene.client, instanceId)];
  const { REDIS_URL: redisUrl } = scene.env;
  if (redisUrl !== undefined) producers.push(createQueueProducer(redisUrl, instanceId, closer));
  note(`urgent contacts for ${options.seconds} s, by ${producers.map(({ name }) => name).join(" and ")}`);
  const figures = measure({
    name: "",
    seconds: options.seconds,
    requestsPerSecond,
    instanceIds,
    workers: [worker],
    simulator,
    servers,
    signal,
  });
  const [{ share, refused }, ...sampled] = await Promise.all([
    figures,
    ...producers.map((producer) => produce(producer, options, signal)),
  ]);
  const rows: Row[] = [];
  for (const [index, samples] of sampled.entries()) {
    const waits = await readWaits(samples, simulator, signal);
    rows.push({ name: producers[index]?.name ?? "", waits: waits.toSorted((a, b) => a - b) });
  }
  const table = toTable(rows);
  console.log(options.markdown ? toMarkdown(table) : toText(table));
  console.log(`\n${(share * 100).toFixed(1)} % of the budget used meanwhile, ${refused} calls refused`);
  return rows.some(({ waits }) => findPercentile(waits, 0.99) > targetP99Ms) ? 1 : 0;
}

/** A CRM in the same database. */
function createSqlProducer(client: pg.Client, instanceId: string): Producer {
  return {
    name: "SQL, avatars.enqueue",
    digits: "7911",
    async send(chatId) {
      await client.query("begin");
      await client.query("select avatars.enqueue($1, array[$2], priority => 0)", [instanceId, chatId]);
      // Nobody can see it before: the commit itself is part of the wait.
      const committingAtMs = nowMs();
      await client.query("commit");
      return committingAtMs;
    },
  };
}

/** A BullMQ client with a job in `avatar-requests`. */
function createQueueProducer(redisUrl: string, instanceId: string, closer: Closer): Producer {
  const connection = new Redis(redisUrl);
  closer.add("connection", () => connection.disconnect());
  const queue = new Queue(requestsQueueName, { connection });
  closer.add("queue", () => queue.close());
  return {
    name: "BullMQ, avatar-requests",
    digits: "7922",
    async send(chatId) {
      const addingAtMs = nowMs();
      await queue.add("request", { instanceId, chatIds: [chatId], priority: 0 });
      return addingAtMs;
    },
  };
}

/** The clock of the simulator's log: wall-clock time at the process's start, and monotonic from there. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** One contact after the other, at random moments: at fixed ones they would all meet the pace in one phase. */
async function produce(
  producer: Producer,
  { seconds, everySeconds }: Options,
  signal: AbortSignal,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const endAt = performance.now() + seconds * 1000;
  for (;;) {
    await sleep(everySeconds * 1000 * (0.5 + Math.random()), undefined, { signal });
    if (performance.now() > endAt) return samples;
    const chatId = `${producer.digits}${String(samples.length + 1).padStart(7, "0")}@c.us`;
    samples.push({ chatId, acceptedAtMs: await producer.send(chatId) });
  }
}

/** From acceptance to the arrival of the first call, in ms; Infinity where none came. */
async function readWaits(
  samples: readonly Sample[],
  simulator: BenchSimulator,
  signal: AbortSignal,
): Promise<number[]> {
  const giveUpAt = performance.now() + lastWaitMs;
  const waits: number[] = [];
  for (const { chatId, acceptedAtMs } of samples) {
    for (;;) {
      const [call] = await simulator.readCallsFor(chatId);
      if (call !== undefined || performance.now() > giveUpAt) {
        waits.push(call === undefined ? Infinity : call.at - acceptedAtMs);
        break;
      }
      await sleep(500, undefined, { signal });
    }
  }
  return waits;
}

interface Row {
  readonly name: string;
  /** Ascending. */
  readonly waits: readonly number[];
}

function toTable(rows: readonly Row[]): Table {
  return {
    header: [
      "urgent contacts by",
      "contacts",
      "wait p50",
      "p90",
      "p99",
      "max",
      `target: p99 ≤ ${targetP99Ms} ms`,
    ],
    rows: rows.map(({ name, waits }) => [
      name,
      String(waits.length),
      ...[0.5, 0.9, 0.99, 1].map((share) => toMs(findPercentile(waits, share))),
      mark(findPercentile(waits, 0.99) <= targetP99Ms),
    ]),
  };
}

function toMs(wait: number): string {
  return Number.isFinite(wait) ? `${Math.round(wait)} ms` : "never";
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
