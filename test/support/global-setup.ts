import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { openEmbeddedPostgres } from "../../src/embedded/open-embedded-postgres.ts";
import { migrateQueue } from "../../src/queue/migrate-queue.ts";
import { openDatabase } from "../../src/store/postgres/database.ts";
import { migrateLedger } from "../../src/store/postgres/migrate.ts";
import { openRedis } from "./redis-server.ts";
import { openRunFolder } from "./run-folder.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The database `postgres` of a server of our own. */
    adminUrl: string;
    /** Undefined: there is no Redis to be had, and its half of the suite does not run. */
    redisUrl: string | undefined;
    redisSource: string;
  }
}

/** Test files clone this database: migrated once, empty. */
export const templateName = "avatars_template";

/** Servers for the whole run, on free ports: the machine's own are never touched, and none outlives the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = openRunFolder();
  const redis = await openRedis();
  reportRedis(redis?.source);
  const postgres = await openEmbeddedPostgres({
    dataDir: join(folder.path, "postgres"),
    settings: { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "200" },
  });
  const admin = new URL(postgres.url);
  admin.pathname = "/postgres";
  await createTemplate(admin.href);
  project.provide("adminUrl", admin.href);
  project.provide("redisUrl", redis?.url);
  project.provide("redisSource", redis?.source ?? "none");
  return async () => {
    await redis?.close();
    await postgres.close();
    folder.close();
  };
}

async function createTemplate(adminUrl: string): Promise<void> {
  const client = new pg.Client(adminUrl);
  await client.connect();
  await client.query(`create database ${templateName}`);
  await client.end();
  const url = new URL(adminUrl);
  url.pathname = `/${templateName}`;
  const database = await openDatabase({ url: url.href, maxConnections: 2 });
  await migrateLedger(database.pool);
  await migrateQueue(url.href);
  await database.close();
}

function reportRedis(source: string | undefined): void {
  if (source !== undefined) {
    process.stdout.write(`backends under test: PostgreSQL, Redis (${source})\n`);
    return;
  }
  const message =
    "backends under test: PostgreSQL; the Redis half is NOT RUN: install redis-server, or set TEST_REDIS_URL, or start Docker";
  if (process.env["CI"]) throw new Error(message);
  process.stdout.write(`${message}\n`);
}
