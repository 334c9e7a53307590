import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import type { Closer } from "../src/lib/closing/closer.ts";
import type { LimiterWorkerOptions, LookupJob } from "./bullmq-limiter-worker.ts";
import { measure, type Figures } from "./measure.ts";
import { startAvatars, startNode, until, type BenchProcess } from "./processes.ts";
import { nameRow, type BullmqRow, type ProductRow, type Row } from "./rows.ts";
import { withCloser, type Bench } from "./run-bench.ts";
import { enqueueImport, toInstanceIds, type Scene, type Servers } from "./servers.ts";
import { startBenchSimulator, type BenchSimulator, type SimulatorSettings } from "./simulator.ts";

export interface RowOptions {
  readonly servers: Servers;
  readonly bench: Bench;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** GREEN-API's budget: calls per second and instance. */
const requestsPerSecond = 10;
/** Contacts for so much longer than is measured: instances start one after the other. */
const spareSeconds = 30;
const bullmqConcurrency = 50;
/** 150 to 900 ms for 19 answers in 20, 370 ms in the median. */
const slowAnswers = { latencyMs: 370, latencySpread: 0.45, tailShare: 0 };

export async function measureRow(row: Row, options: RowOptions): Promise<Figures> {
  return withCloser((closer) =>
    row.kind === "product" ? measureProduct(row, options, closer) : measureBullmq(row, options, closer),
  );
}

async function measureProduct(row: ProductRow, options: RowOptions, closer: Closer): Promise<Figures> {
  const { servers, bench } = options;
  const keepsImages = row.keepsImages === true;
  const pictures = keepsImages ? await openSimulator(0, options, closer, { isForPictures: true }) : undefined;
  const picturesAt = pictures && { picturesAt: pictures.url };
  const simulator = await openSimulator(row.jitterMs, options, closer, picturesAt);
  if (row.special !== undefined) await simulator.setLatency(slowAnswers);
  const instanceIds = toInstanceIds(row.instances);
  const scene = await servers.openScene({ backend: row.backend, instanceIds, apiUrl: simulator.url });
  closer.add("scene", () => scene.close());
  const contacts = countContacts(options);
  for (const id of instanceIds) {
    bench.signal.throwIfAborted();
    await enqueueImport(scene.client, id, contacts);
  }
  // All tables but that of avatars have statistics then: plans that were made with these must not stay when it grows.
  if (row.special === "analyzed") await scene.client.query("vacuum analyze");
  const images = pictures ? await openImages(pictures.url, closer) : { AVATARS_IMAGES: "off" };
  const env = { ...scene.env, ...images };
  const workers = startWorkers(row.processes, closer, () => startAvatars(["worker"], env));
  const figures = await warmUpAndMeasure(row, { ...options, simulator, workers, instanceIds });
  await assertContactsLeft(scene);
  if (keepsImages) await assertImagesTaken(scene);
  for (const worker of workers) noteWarnings(worker, bench);
  return figures;
}

/** The settings of workers that keep images: in a folder, from the one who serves the pictures. */
async function openImages(picturesUrl: string, closer: Closer): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-images-"));
  closer.add("images", () => rm(folder, { recursive: true, force: true }));
  return { AVATARS_IMAGES: folder, AVATARS_IMAGE_HOSTS: new URL(picturesUrl).host };
}

async function measureBullmq(row: BullmqRow, options: RowOptions, closer: Closer): Promise<Figures> {
  const { redis } = options.servers;
  if (redis === undefined) throw new Error("there is no redis-server for BullMQ's own limiter");
  await redis.flush();
  const simulator = await openSimulator(0, options, closer);
  const [instanceId = ""] = toInstanceIds(1);
  const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
  closer.add("connection", () => connection.disconnect());
  const queue = new Queue<LookupJob>("lookups", { connection });
  closer.add("queue", () => queue.close());
  const jobs = Array.from({ length: 2 * countContacts(options) }, (_, index) => ({
    name: "lookup",
    data: { chatId: `7900${String(index + 1).padStart(7, "0")}@c.us` },
  }));
  await queue.addBulk(jobs);
  const settings: LimiterWorkerOptions = {
    redisUrl: redis.url,
    queueName: queue.name,
    limiter: row.limiter,
    apiUrl: simulator.url,
    instanceId,
    concurrency: bullmqConcurrency,
  };
  const program = fileURLToPath(new URL("bullmq-limiter-worker.js", import.meta.url));
  const workers = startWorkers(row.processes, closer, () =>
    startNode("BullMQ worker", [program, JSON.stringify(settings)], {}),
  );
  const figures = await warmUpAndMeasure(row, { ...options, simulator, workers, instanceIds: [instanceId] });
  if ((await queue.getWaitingCount()) === 0) throw new Error("the jobs have run out");
  return figures;
}

async function openSimulator(
  jitterMs: number,
  { bench }: RowOptions,
  closer: Closer,
  settings: SimulatorSettings = {},
): Promise<BenchSimulator> {
  const simulator = await startBenchSimulator(jitterMs, bench.signal, settings);
  closer.add("simulator", () => simulator.kill());
  return simulator;
}

function startWorkers(count: number, closer: Closer, start: () => BenchProcess): BenchProcess[] {
  return Array.from({ length: count }, () => {
    const worker = start();
    closer.add("worker", () => worker.kill());
    return worker;
  });
}

/** Workers log warnings only. */
function noteWarnings(worker: BenchProcess, bench: Bench): void {
  const lines = worker.printed().trim().split("\n");
  const last = lines.at(-1);
  if (last) bench.note(`  a worker warns, ${lines.length} times or more: ${last}`);
}

interface Running extends RowOptions {
  readonly simulator: BenchSimulator;
  readonly workers: readonly BenchProcess[];
  readonly instanceIds: readonly string[];
}

/** Measures when every instance has been called, and the warm-up is over. */
async function warmUpAndMeasure(row: Row, running: Running): Promise<Figures> {
  const { simulator, workers, instanceIds, bench, servers, seconds, warmUpSeconds } = running;
  const { signal } = bench;
  await until(
    async () => {
      for (const worker of workers) worker.assertAlive();
      const called = Object.keys((await simulator.stats()).instances).length;
      return called >= instanceIds.length || undefined;
    },
    { what: "a first call for each instance", signal },
  );
  await sleep(warmUpSeconds * 1000, undefined, { signal });
  const name = nameRow(row);
  return measure({ name, seconds, requestsPerSecond, instanceIds, workers, simulator, servers, signal });
}

function countContacts({ seconds, warmUpSeconds }: RowOptions): number {
  return (warmUpSeconds + seconds + spareSeconds) * requestsPerSecond;
}

/** An instance that has nothing left to ask for uses no budget, and it would be nobody's fault. */
async function assertContactsLeft({ client }: Scene): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `select i.id from avatars.instances i
     where not exists (select from avatars.contacts c where c.instance_id = i.id and c.status = 'unknown')`,
  );
  if (rows.length > 0) throw new Error(`the contacts of ${rows.length} instances have run out`);
}

/** Calls cost nothing beside images that are not taken. */
async function assertImagesTaken({ client }: Scene): Promise<void> {
  const { rows } = await client.query<{ shown: number; all: number }>(
    `select count(*) filter (where image_sha256 is not null)::int as shown, count(*)::int as all
     from avatars.avatars where version is not null`,
  );
  const { shown = 0, all = 0 } = rows[0] ?? {};
  if (shown < 0.9 * all) throw new Error(`only ${shown} of ${all} images were taken beside the calls`);
}
