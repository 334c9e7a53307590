// npm run bench:hostile: how late others are served while small keys and a CRM's role do their worst.
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startApi, type BenchApi } from "./api.ts";
import { attacks, type Attack, type Attacker } from "./hostile/attacks.ts";
import { describeMachine } from "./machine.ts";
import { OptionError, readOptionsOrExit, toNumber } from "./options.ts";
import { findPercentile } from "./percentile.ts";
import { runAvatars, until } from "./processes.ts";
import { runBench, withCloser, type Bench } from "./run-bench.ts";
import { enqueueImport, openServers, toInstanceIds, type Scene, type Servers } from "./servers.ts";
import { startBenchSimulator } from "./simulator.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:hostile -- [options]
  --seconds NUMBER  how long each attack lasts that only holds something (default: 20)
  --only TEXT       attacks whose name holds this text, and "nothing" (default: all)
  --markdown        the table as Markdown
  --write           also write bench/RESULTS.md
`;

const healthEveryMs = 20;
const refreshEveryMs = 500;
/** Whether /healthz answers in time, and whether answers of another instance are saved in time. */
const targetHealthMs = 250;
const targetDelayMs = 1_000;
/** An import of so many contacts keeps the attacked instance in work. */
const contacts = 50_000;
/** A refresh ends without an answer then. */
const patience = "30s";

interface Options {
  readonly seconds: number;
  readonly only: string;
  readonly markdown: boolean;
  readonly write: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "20" },
      only: { type: "string", default: "" },
      markdown: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  if (values.write && values.only !== "") throw new OptionError("--write is for all rows: leave --only out");
  return { ...values, seconds: toNumber("--seconds", values.seconds, 5, 600) };
}

/** All in ms, ascending. */
interface Row {
  readonly name: string;
  readonly healthMs: readonly number[];
  /** From the request until its answer had been read; Infinity where it came without an answer of the provider. */
  readonly refreshMs: readonly number[];
}

async function main({ seconds, only, markdown, write }: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal);
  const rows: Row[] = [];
  for (const attack of attacks.filter(({ name }) => name === "nothing" || name.includes(only)))
    rows.push(await measureAttack(attack, seconds, servers, bench));
  const table = toTable(rows);
  console.log(markdown ? toMarkdown(table) : toText(table));
  if (write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:hostile", toReport(table, servers, minutes));
    bench.note(`written: ${resultsFile}`);
  }
  return rows.every((row) => isMet(row, rows[0])) ? 0 : 1;
}

/** Each attack meets a database and processes of its own. */
async function measureAttack(
  attack: Attack,
  seconds: number,
  servers: Servers,
  { signal, note }: Bench,
): Promise<Row> {
  return withCloser(async (closer) => {
    const simulator = await startBenchSimulator(0, signal);
    closer.add("simulator", () => simulator.kill());
    const [attackedId = "", otherId = ""] = toInstanceIds(2);
    const scene = await servers.openScene({
      backend: "postgres",
      instanceIds: [attackedId, otherId],
      apiUrl: simulator.url,
    });
    closer.add("scene", () => scene.close());
    await enqueueImport(scene.client, attackedId, contacts);
    const api = await startApi("up", scene, signal);
    closer.add("API", () => api.kill());
    const attacker = await prepareAttacker(scene, api, attackedId, signal);
    await until(async () => (await simulator.stats()).calls > 20 || undefined, { what: "calls", signal });
    note(attack.name);
    const over = new AbortController();
    const probes = Promise.all([
      watchHealth(api, over.signal),
      watchRefreshes(api, otherId, over.signal, signal),
    ]);
    await sleep(2_000, undefined, { signal });
    await attack.run(attacker, seconds);
    await sleep(2_000, undefined, { signal });
    over.abort();
    const [healthMs, refreshMs] = await probes;
    api.assertAlive();
    return { name: attack.name, healthMs: sorted(healthMs), refreshMs: sorted(refreshMs) };
  });
}

async function prepareAttacker(
  { client, env }: Scene,
  api: BenchApi,
  instanceId: string,
  signal: AbortSignal,
): Promise<Attacker> {
  const createKey = async (scope: string) =>
    (await runAvatars(["apikey", "create", "--scope", scope, "--instance", instanceId], env)).trim();
  // The server's roles are of all databases: the second attack finds it there.
  await client.query(`do $$ begin
    if not exists (select from pg_roles where rolname = 'crm') then create role crm login; end if;
  end $$`);
  await client.query("grant usage on schema avatars to crm");
  const databaseUrl = new URL(env["DATABASE_URL"] ?? "");
  const password = `hostile-${process.pid}`;
  await client.query(`alter role crm password '${password}'`);
  databaseUrl.username = "crm";
  databaseUrl.password = password;
  const keys = { read: await createKey("read"), enqueue: await createKey("enqueue") };
  return { url: api.url, instanceId, keys, databaseUrl: databaseUrl.href, signal };
}

/** Asks on one connection, one after the other, and gives what each answer took, in ms. */
async function watchHealth({ url }: BenchApi, over: AbortSignal): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async () =>
    new Promise<void>((resolve, reject) => {
      const asked = request(`${url}/healthz`, { agent }, (response) => response.resume().on("end", resolve));
      asked.on("error", reject).end();
    });
  const tookMs: number[] = [];
  while (!over.aborted) {
    const startedMs = performance.now();
    await ask();
    tookMs.push(performance.now() - startedMs);
    await sleep(healthEveryMs);
  }
  agent.destroy();
  return tookMs;
}

/** Asks for new contacts of another instance, and gives what each answer took, in ms. */
async function watchRefreshes(
  { url, headers }: BenchApi,
  instanceId: string,
  over: AbortSignal,
  signal: AbortSignal,
): Promise<number[]> {
  const asked: Promise<number>[] = [];
  for (let n = 1; !over.aborted; n += 1) {
    const chatId = `7936${String(n).padStart(7, "0")}@c.us`;
    const path = `/v1/instances/${instanceId}/contacts/${chatId}/refresh?wait=${patience}`;
    const startedMs = performance.now();
    const answer = fetch(url + path, { method: "POST", headers, signal }).then(async (response) => {
      await response.text();
      return response.status === 200 ? performance.now() - startedMs : Infinity;
    });
    answer.catch(() => undefined);
    asked.push(answer);
    await sleep(refreshEveryMs, undefined, { signal });
  }
  return Promise.all(asked);
}

function sorted(list: readonly number[]): number[] {
  return list.toSorted((a, b) => a - b);
}

function isMet({ healthMs, refreshMs }: Row, calm: Row | undefined): boolean {
  const delayMs = findPercentile(refreshMs, 1) - findPercentile(calm?.refreshMs ?? [], 1);
  return findPercentile(healthMs, 1) <= targetHealthMs && !(delayMs > targetDelayMs);
}

function toTable(rows: readonly Row[]): Table {
  return {
    header: [
      "meanwhile",
      "/healthz",
      "p50",
      "p99",
      "max",
      "refreshes",
      "p50",
      "max",
      `target: ≤ ${targetHealthMs} ms, ≤ ${targetDelayMs} ms more`,
    ],
    rows: rows.map((row) => [
      row.name,
      String(row.healthMs.length),
      ...[0.5, 0.99, 1].map((share) => toMs(findPercentile(row.healthMs, share))),
      String(row.refreshMs.length),
      ...[0.5, 1].map((share) => toMs(findPercentile(row.refreshMs, share))),
      mark(isMet(row, rows[0])),
    ]),
  };
}

function toMs(took: number): string {
  return Number.isFinite(took) ? `${Math.round(took)} ms` : "never";
}

function toReport(table: Table, servers: Servers, minutes: number): string {
  const facts = [...describeMachine(), `Postgres ${servers.postgres.version} (embedded)`];
  return `Measured on ${new Date().toISOString().slice(0, 10)}, in ${minutes} minutes:

${facts.map((fact) => `- ${fact}`).join("\n")}

\`avatars up\` works an import of ${contacts} contacts of one instance off. Attacks come from keys that are limited to that instance, and from
a database role with \`usage\` on the schema alone. Meanwhile \`/healthz\` is asked every ${healthEveryMs} ms, and every ${refreshEveryMs} ms another instance
for one new contact (\`…/refresh?wait=${patience}\`), whose answer is sent when it is saved. Everything shares the machine.

${toMarkdown(table)}

- **/healthz**, **refreshes**: how many were asked; what their answers took, the one that took longest included.
- **target**: no \`/healthz\` later than ${targetHealthMs} ms, no refresh more than ${targetDelayMs} ms later than the slowest one with "nothing" going on.

\`\`\`sh
npm run bench:hostile -- --write
npm run bench:hostile -- --only upload
\`\`\`

It needs Linux and the embedded Postgres. The exit code is 1 when a target is missed.
`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
