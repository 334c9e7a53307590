import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Queue } from "bullmq";
import { makeWorkerUtils } from "graphile-worker";
import { Redis } from "ioredis";
import type pg from "pg";
import type { Closer } from "../../src/lib/closing/closer.ts";
import {
  tablesSql,
  taskName,
  type AlternativeOptions,
  type LookupJob,
} from "../alternatives/alternative-options.ts";
import { startNode } from "../processes.ts";
import { isRightSql } from "../provider/answers.ts";
import type { Contender, Prepared, PrepareOptions } from "./contender.ts";

const queueName = "lookups";
const addAtOnce = 5_000;

/** How a program of `bench/alternatives/` gets its work. */
interface Alternative extends Pick<Contender, "name" | "title"> {
  readonly program: string;
  readonly usesRedis: boolean;
  fill(place: Place, chatIds: readonly string[]): Promise<void>;
}

interface Place {
  readonly client: pg.Client;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly closer: Closer;
}

const alternatives: readonly Alternative[] = [
  {
    name: "floor",
    title: `floor: undici ${readVersion("undici")} (50 connections) and a batched upsert, no queue`,
    program: "floor.js",
    usesRedis: false,
    async fill({ client }, chatIds) {
      await client.query("insert into todo (chat_id) select unnest($1::text[])", [chatIds]);
      await client.query("vacuum analyze todo");
    },
  },
  {
    name: "bullmq",
    title: `BullMQ ${readVersion("bullmq")}, tuned`,
    program: "tuned-bullmq.js",
    usesRedis: true,
    fill: fillBullmq,
  },
  {
    name: "graphile",
    title: `graphile-worker ${readVersion("graphile-worker")}, tuned`,
    program: "tuned-graphile.js",
    usesRedis: false,
    fill: fillGraphile,
  },
  {
    name: "textbook",
    title: `BullMQ ${readVersion("bullmq")}, by the textbook`,
    program: "textbook-bullmq.js",
    usesRedis: true,
    fill: fillBullmq,
  },
];

/** What else could be used. Each is told its work before it is started. */
export function listAlternatives(): Contender[] {
  return alternatives.map((alternative) => ({
    name: alternative.name,
    title: alternative.title,
    prepare: async (options) => prepare(alternative, options),
  }));
}

async function prepare(
  { name, program, usesRedis, fill }: Alternative,
  { servers, providerUrl, contacts, closer }: PrepareOptions,
): Promise<Prepared> {
  const { redis } = servers;
  if (usesRedis && redis === undefined) throw new Error("there is no redis-server");
  await redis?.flush();
  const database = await servers.openDatabase();
  closer.add("database", () => database.close());
  const { client, url: databaseUrl } = database;
  await client.query(tablesSql);
  const redisUrl = redis?.url ?? "";
  const chatIds = Array.from({ length: contacts }, (_, n) => `7900${String(n + 1).padStart(7, "0")}@c.us`);
  await fill({ client, databaseUrl, redisUrl, closer }, chatIds);
  const options: AlternativeOptions = { databaseUrl, redisUrl, apiUrl: providerUrl, queueName };
  const file = fileURLToPath(new URL(`../alternatives/${program}`, import.meta.url));
  const count = async (condition: string) => {
    const { rows } = await client.query<{ n: number }>(
      `select count(*)::int as n from avatars where ${condition}`,
    );
    return rows[0]?.n ?? 0;
  };
  return {
    start: () => startNode(name, [file, JSON.stringify(options)], {}),
    countLeft: async () => contacts - (await count("true")),
    countWrong: async () => contacts - (await count(isRightSql)),
  };
}

async function fillBullmq({ redisUrl, closer }: Place, chatIds: readonly string[]): Promise<void> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  closer.add("connection", () => connection.disconnect());
  const queue = new Queue<LookupJob>(queueName, { connection });
  closer.add("queue", () => queue.close());
  for (const lot of toLots(chatIds))
    await queue.addBulk(lot.map((chatId) => ({ name: "lookup", data: { chatId } })));
}

async function fillGraphile({ databaseUrl, client }: Place, chatIds: readonly string[]): Promise<void> {
  const utils = await makeWorkerUtils({ connectionString: databaseUrl });
  try {
    await utils.migrate();
    for (const lot of toLots(chatIds))
      await utils.addJobs(lot.map((chatId) => ({ identifier: taskName, payload: { chatId } })));
  } finally {
    await utils.release();
  }
  await client.query("vacuum analyze");
}

function toLots(chatIds: readonly string[]): (readonly string[])[] {
  return Array.from({ length: Math.ceil(chatIds.length / addAtOnce) }, (_, lot) =>
    chatIds.slice(lot * addAtOnce, (lot + 1) * addAtOnce),
  );
}

function readVersion(name: string): string {
  const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { version: string };
  return version;
}
