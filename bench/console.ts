// npm run bench:console: how long each page of the console takes until it is of use, with the data of years.
import { parseArgs } from "node:util";
import type { Browser, BrowserContext } from "playwright-core";
import type pg from "pg";
import { openChromium } from "../test/support/chromium.ts";
import { startApi, type BenchApi } from "./api.ts";
import { fill } from "./console/fill.ts";
import { emptyPage, toPages, type ConsolePage, type Subjects } from "./console/pages.ts";
import { takePictures } from "./console/pictures.ts";
import { waitForRest } from "./console/wait-for-rest.ts";
import { describeRun } from "./describe-run.ts";
import { readOptionsOrExit, toNumber } from "./options.ts";
import { runAvatars, startAvatars } from "./processes.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { openServers, toInstanceIds, type Scene } from "./servers.ts";
import { startBenchSimulator } from "./simulator.ts";
import { mark, toMarkdown, toText, type Table } from "./table.ts";
import { writeResults } from "./write-results.ts";

const usage = `npm run bench:console -- [options]
  --instances NUMBER  (default: 200)
  --contacts NUMBER   of all instances together (default: 100000)
  --rounds NUMBER     of each page, the first of them without a cache (default: 5)
  --page NAME         this page alone, e.g. Overview; nothing is written then
  --pictures FOLDER   also take a picture of each page there: wide and narrow, light and dark
  --write             also write bench/RESULTS.md
`;

const targetMs = 1_000;

interface Options {
  readonly instances: number;
  readonly contacts: number;
  readonly rounds: number;
  readonly page: string | undefined;
  readonly pictures: string | undefined;
  readonly write: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      instances: { type: "string", default: "200" },
      contacts: { type: "string", default: "100000" },
      rounds: { type: "string", default: "5" },
      page: { type: "string" },
      pictures: { type: "string" },
      write: { type: "boolean", default: false },
    },
  });
  return {
    instances: Math.round(toNumber("--instances", values.instances, 200, 1_000)),
    contacts: Math.round(toNumber("--contacts", values.contacts, 1_000, 10_000_000)),
    rounds: Math.round(toNumber("--rounds", values.rounds, 1, 100)),
    page: values.page,
    pictures: values.pictures,
    write: values.write && values.page === undefined,
  };
}

/** Ms from the start of the navigation. */
interface Round {
  readonly shownMs: number;
  readonly usedMs: number;
}

interface Figures {
  readonly page: ConsolePage;
  readonly rounds: readonly Round[];
}

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const browser = await openChromium();
  if (browser === undefined) throw new Error("there is no Chromium: apt-get install chromium");
  bench.closer.add("browser", () => browser.close());
  const servers = await openServers(bench.closer, bench.signal);
  const simulator = await startBenchSimulator(0, bench.signal);
  bench.closer.add("simulator", () => simulator.kill());
  const scene = await servers.openScene({
    backend: servers.redis ? "redis" : "postgres",
    instanceIds: toInstanceIds(options.instances),
    apiUrl: simulator.url,
  });
  bench.closer.add("scene", () => scene.close());
  bench.note("filling the tables");
  await fill(scene.client, options);
  const env = { ...scene.env, AVATARS_API_HOSTS: new URL(simulator.url).host, AVATARS_IMAGES: "off" };
  const api = await startApi("serve", { env }, bench.signal);
  bench.closer.add("API", () => api.kill());
  const key = (await runAvatars(["apikey", "create", "--label", "Ops", "--scope", allScopes], env)).trim();
  const all = toPages(await addSubjects(scene, api, key));
  const pages = all.filter(({ name }) => options.page === undefined || name === options.page);
  if (pages.length === 0) throw new Error(`--page: one of ${all.map(({ name }) => name).join(", ")}`);
  const worker = startAvatars(["worker"], env);
  bench.closer.add("worker", () => worker.kill());
  await servers.checkpoint();

  const figures: Figures[] = [];
  for (const page of [emptyPage, ...pages]) {
    const rounds = await measurePage(browser, api.url, key, page, options.rounds);
    figures.push({ page, rounds });
    bench.note(`${page.name}: ${rounds.map(({ usedMs }) => usedMs.toFixed(0)).join(", ")} ms`);
  }
  if (options.pictures !== undefined) {
    const context = await logIn(browser, api.url, key);
    const rest = pages.filter(({ isLoggedOut }) => !isLoggedOut);
    await takePictures(context, api.url, rest, options.pictures);
  }
  const table = toTable(figures);
  console.log(`${toText(table)}\n`);
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:console", toReport(table, options, describeRun({ minutes, servers })));
  }
  return figures.some((one) => isMet(one) === false) ? 1 : 0;
}

const allScopes = "enqueue,read,admin,audit,webhooks,keys";

/** Webhooks with their deliveries, and the pages of one subject each. */
async function addSubjects({ client }: Scene, api: BenchApi, key: string): Promise<Subjects> {
  for (let count = 0; count < 20; count += 1) {
    const body = { url: `https://hooks.shop-${count}.example/avatars`, label: `Shop ${count + 1}` };
    const answer = await fetch(`${api.url}/v1/webhooks`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`a webhook was not added: ${await answer.text()}`);
  }
  await client.query(
    `insert into avatars.webhook_deliveries (endpoint_id, type, kind, tries, at, took_ms, status, error, answer)
     select id, 'avatar.changed', 'event', 1, now() - n * interval '7 minutes', 20 + n % 90,
       case when n % 11 = 0 then 500 else 204 end, case when n % 11 = 0 then 'refused' end,
       case when n % 11 = 0 then 'Internal Server Error' else '' end
     from generate_series(100, 1, -1) n, avatars.webhook_endpoints`,
  );
  return {
    instanceId: await readOne(client, "select id from avatars.instances order by id offset 10 limit 1"),
    batchId: await readOne(client, "select id::text from avatars.batches order by accepted desc limit 1"),
    webhookId: await readOne(client, "select id from avatars.webhook_endpoints order by id limit 1"),
  };
}

async function readOne(client: pg.Client, sql: string): Promise<string> {
  const { rows } = await client.query<{ id: string }>(sql);
  if (rows[0] === undefined) throw new Error(`there is none: ${sql}`);
  return rows[0].id;
}

async function logIn(browser: Browser, url: string, key: string): Promise<BrowserContext> {
  const context = await browser.newContext();
  const answer = await context.request.post(`${url}/console/session`, {
    data: { key },
    headers: { origin: url, "x-avatars-console": "1" },
  });
  if (!answer.ok()) throw new Error(`the login failed: ${await answer.text()}`);
  return context;
}

/** Opens the page in a tab of its own of a window that stands, as from a bookmark. */
async function measurePage(
  browser: Browser,
  url: string,
  key: string,
  { place, url: other, isLoggedOut, shown, used }: ConsolePage,
  count: number,
): Promise<Round[]> {
  const context = isLoggedOut ? await browser.newContext() : await logIn(browser, url, key);
  await context.newPage();
  await waitForRest(browser);
  const rounds: Round[] = [];
  while (rounds.length < count) {
    const page = await context.newPage();
    const startedMs = performance.now();
    await page.goto(other ?? `${url}/console/#/${place}`, { waitUntil: "commit" });
    await shown(page);
    const shownMs = performance.now() - startedMs;
    await used(page);
    rounds.push({ shownMs, usedMs: performance.now() - startedMs });
    await page.close();
  }
  await context.close();
  return rounds;
}

/** Undefined: it has no target. */
function isMet({ page, rounds }: Figures): boolean | undefined {
  return page.url === undefined ? rounds.every(({ usedMs }) => usedMs < targetMs) : undefined;
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}

function toTable(figures: readonly Figures[]): Table {
  return {
    header: ["page", "data shown, first", "data shown, most", "of use, first", "of use, most", "< 1 s"],
    rows: figures.map((one) => {
      const most = (values: number[]) => ms(Math.max(...values));
      return [
        one.page.name,
        ms(one.rounds[0]?.shownMs ?? Infinity),
        most(one.rounds.map(({ shownMs }) => shownMs)),
        ms(one.rounds[0]?.usedMs ?? Infinity),
        most(one.rounds.map(({ usedMs }) => usedMs)),
        mark(isMet(one)),
      ];
    }),
  };
}

function toReport(table: Table, { instances, contacts, rounds }: Options, head: string): string {
  return `${head}

The console in Chromium, with ${instances} instances, ${contacts} contacts, 1,000 batches, 30 nights of each instance, 20 webhooks with 100
deliveries each, 100 keys and 20,000 rows of the audit log, while a worker calls every tenth instance. Each page is opened ${rounds} times
in a new tab of a window that is at rest, the first time without a cache: for each new window Chromium loads some 400 files of its own, for its
address bar, which takes some 2 s of a core within the first seconds. Times are from the start of the navigation until its data is shown, and until
its first control was used and has had its effect: a search, a filter, a dialog, the next page of a list. Target: below 1 s. An empty
page, with a button that changes its own text, tells what the browser takes for any page on this machine.

${toMarkdown(table)}`;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));
