// npm run bench:webhooks: the time from the commit of a change to its request at each of twenty endpoints, one of them dead.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type pg from "pg";
import { describeMachine, readCpuMs } from "./machine.ts";
import { readOptionsOrExit, toNumber } from "./options.ts";
import { findPercentile } from "./percentile.ts";
import { runAvatars, startAvatars, until } from "./processes.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { openServers } from "./servers.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";
import { openDeadReceiver, openReceiver, type BenchReceiver } from "./webhooks/receivers.ts";
import { writeResults } from "./write-results.ts";

const usage = `npm run bench:webhooks -- [options]
  --rate NUMBER       changes a second (default: 50)
  --seconds NUMBER    for how long (default: 30)
  --endpoints NUMBER  one of which is dead (default: 20)
  --write             also write bench/RESULTS.md
`;

const targetMs = 1_000;
const instanceId = "1101000001";
/** Contacts that change by turns: each is at rest long enough to be told of each of its changes. */
const contacts = 2_000;
/** Until the worker has the leases of all endpoints, and has found out which one is dead. */
const settleMs = 3_000;

interface Options {
  readonly rate: number;
  readonly seconds: number;
  readonly endpoints: number;
  readonly write: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      rate: { type: "string", default: "50" },
      seconds: { type: "string", default: "30" },
      endpoints: { type: "string", default: "20" },
      write: { type: "boolean", default: false },
    },
  });
  return {
    rate: toNumber("--rate", values.rate, 1, 1_000),
    seconds: toNumber("--seconds", values.seconds, 1, 600),
    endpoints: toNumber("--endpoints", values.endpoints, 2, 100),
    write: values.write,
  };
}

async function main(options: Options, bench: Bench): Promise<number> {
  const servers = await openServers(bench.closer, bench.signal);
  const scene = await servers.openScene({
    backend: "postgres",
    instanceIds: [instanceId],
    apiUrl: "http://127.0.0.1:9",
  });
  bench.closer.add("scene", () => scene.close());
  const env = { ...scene.env, AVATARS_WEBHOOK_NETWORKS: "127.0.0.0/8", AVATARS_RESYNC_CRON: "off" };
  const receivers = await addEndpoints(options.endpoints, env, bench);
  await addContacts(scene.client);
  await servers.checkpoint();
  const worker = startAvatars(["worker"], env);
  bench.closer.add("worker", () => worker.kill());
  await until(async () => ((await countLeased(scene.client)) >= options.endpoints ? true : undefined), {
    what: "the leases of all endpoints",
    signal: bench.signal,
  });
  await sleep(settleMs);

  const cpuBefore = readCpuMs(worker.pid);
  const committed = await change(scene.client, options, bench.signal);
  const cpuMs = readCpuMs(worker.pid) - cpuBefore;
  await until(() => (receivers.every(({ arrivals }) => arrivals.size >= committed.size) ? true : undefined), {
    what: "all changes at all endpoints that live",
    signal: bench.signal,
  }).catch((error: unknown) => bench.note(String(error)));
  worker.assertAlive();
  return report(options, { committed, receivers, cpuMs }, bench);
}

/** All but one of them answer. They are added as a person does, by the command. */
async function addEndpoints(
  count: number,
  env: Record<string, string>,
  { closer }: Bench,
): Promise<BenchReceiver[]> {
  await runAvatars(["webhook", "add", await openDeadReceiver(closer)], env);
  const receivers: BenchReceiver[] = [];
  while (receivers.length < count - 1) {
    const receiver = await openReceiver(closer);
    receivers.push(receiver);
    await runAvatars(["webhook", "add", receiver.url], env);
  }
  return receivers;
}

async function addContacts(client: pg.Client): Promise<void> {
  await client.query(
    `with added as (
       insert into avatars.contacts (instance_id, chat_id, status)
       select $1, '79' || lpad(n::text, 9, '0') || '@c.us', 'present' from generate_series(1, $2::int) n returning id
     )
     insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
     select id, 'https://pps.whatsapp.net/first', 'first', now(), now() from added`,
    [instanceId, contacts],
  );
}

async function countLeased(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    "select count(*)::int as count from avatars.webhook_endpoints where lease_owner is not null",
  );
  return rows[0]?.count ?? 0;
}

/** Changes a picture, as a save does: a transaction for each. */
const changeSql = `
update avatars.avatars a set version = $2, url = $2, seen_at = clock_timestamp(), version_at = clock_timestamp()
from (select id from avatars.contacts where instance_id = '${instanceId}' order by id offset $1 limit 1) c
where a.contact_id = c.id`;

/** Returns when each version was committed, ms of `performance.now()`. */
async function change(
  client: pg.Client,
  { rate, seconds }: Options,
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const committed = new Map<string, number>();
  const startedAt = performance.now();
  for (let index = 0; index < rate * seconds; index += 1) {
    const dueIn = startedAt + (index * 1000) / rate - performance.now();
    if (dueIn > 0) await sleep(dueIn, undefined, { signal });
    const version = `v${index}`;
    await client.query(changeSql, [index % contacts, version]);
    committed.set(version, performance.now());
  }
  return committed;
}

interface Measured {
  readonly committed: ReadonlyMap<string, number>;
  readonly receivers: readonly BenchReceiver[];
  readonly cpuMs: number;
}

function toMs(ms: number): string {
  return `${Math.round(ms)} ms`;
}

async function report(
  options: Options,
  { committed, receivers, cpuMs }: Measured,
  bench: Bench,
): Promise<number> {
  const lags = receivers.flatMap(({ arrivals }) =>
    [...arrivals].flatMap(([version, at]) => {
      const committedAt = committed.get(version);
      return committedAt === undefined ? [] : [at - committedAt];
    }),
  );
  lags.sort((a, b) => a - b);
  const wanted = committed.size * receivers.length;
  const repeats = receivers.reduce((sum, receiver) => sum + receiver.repeats(), 0);
  const p99 = findPercentile(lags, 0.99);
  const isMet = p99 <= targetMs && lags.length === wanted;
  const table: Table = {
    header: [
      "changes a second",
      "endpoints",
      "requests",
      "missing",
      "twice",
      "p50",
      "p99",
      "most",
      "worker CPU",
      "p99 ≤ 1 s",
    ],
    rows: [
      [
        String(options.rate),
        `${receivers.length} and a dead one`,
        String(lags.length),
        String(wanted - lags.length),
        String(repeats),
        toMs(findPercentile(lags, 0.5)),
        toMs(p99),
        toMs(lags.at(-1) ?? Infinity),
        `${((cpuMs / (options.seconds * 1000)) * 100).toFixed(0)} %`,
        mark(isMet),
      ],
    ],
  };
  console.log(toText(table));
  if (options.write) {
    const text = `${describeMachine()
      .map((line) => `- ${line}`)
      .join(
        "\n",
      )}\n\nThe time from the commit of a change to its request at each endpoint that lives, with ${options.rate} changes a second for ${options.seconds} s.\nThe dead one takes requests and never answers. Changes are written by SQL, each in a transaction; one worker sends.\n\n${toMarkdown(table)}`;
    await writeResults("bench:webhooks", text);
    bench.note("written: bench/RESULTS.md");
  }
  return isMet ? 0 : 1;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
