import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import { openEmbeddedPostgres } from "../src/embedded/open-embedded-postgres.ts";
import type { Closer } from "../src/lib/closing/closer.ts";
import { createSecretBox } from "../src/lib/secrets/secret-box.ts";
import { startLocalRedis } from "../test/support/redis-server.ts";
import { findParent } from "./machine.ts";
import { runAvatars } from "./processes.ts";

/** Servers of our own, on free ports, with their data in a temporary folder. */
export interface Servers {
  readonly postgres: Server;
  /** Undefined where redis-server is not installed. */
  readonly redis: RedisServer | undefined;
  /** An empty, migrated database, and an empty queue. */
  openScene(options: SceneOptions): Promise<Scene>;
  /** An empty database, for others than us. */
  openDatabase(): Promise<Database>;
  /** What was written before is on disk: it costs those who are measured now nothing. */
  checkpoint(): Promise<void>;
}

export interface Database {
  readonly client: pg.Client;
  readonly url: string;
  /** Removes it. */
  close(): Promise<void>;
}

export interface Server {
  readonly pid: number | undefined;
  readonly version: string;
}

export interface RedisServer extends Server {
  readonly url: string;
  /** Empties it. */
  flush(): Promise<void>;
}

export interface SceneOptions {
  readonly backend: Backend;
  readonly instanceIds: readonly string[];
  /** Where the instances are called; of several the instances take turns. */
  readonly apiUrl: string | readonly string[];
}

export type Backend = "postgres" | "redis";

/** What workers work on: instances without contacts yet. */
export interface Scene {
  readonly client: pg.Client;
  /** The settings of each worker. */
  readonly env: Record<string, string>;
  close(): Promise<void>;
}

/**
 * Starts the servers; the closer stops them. Postgres is set up as it is for users: it waits for the disk.
 * @param sharedBuffers as Postgres writes it, e.g. `4GB`: for tables of a size for which nobody leaves it as it is
 */
export async function openServers(
  closer: Closer,
  signal: AbortSignal,
  sharedBuffers?: string,
): Promise<Servers> {
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-bench-"));
  closer.add("folder", () => rm(folder, { recursive: true, force: true }));
  const settings = sharedBuffers === undefined ? {} : { shared_buffers: sharedBuffers };
  const postgres = await openEmbeddedPostgres({ dataDir: folder, signal, settings });
  closer.add("Postgres", () => postgres.close());
  const admin = new pg.Client(toDatabaseUrl(postgres.url, "postgres"));
  await admin.connect();
  closer.add("connection", () => admin.end());
  const { rows } = await admin.query<{ pid: number; version: string }>(
    "select pg_backend_pid() as pid, current_setting('server_version') as version",
  );
  const server = rows[0] ?? { pid: 0, version: "unknown" };
  const redis = await openRedis(closer);

  let databases = 0;
  const createDatabase = async () => {
    const name = `bench_${(databases += 1)}`;
    await admin.query(`create database ${name}`);
    const drop = async () => void (await admin.query(`drop database ${name} with (force)`));
    return { url: toDatabaseUrl(postgres.url, name), drop };
  };
  return {
    postgres: { pid: findParent(server.pid), version: server.version },
    redis,
    checkpoint: async () => void (await admin.query("checkpoint")),
    async openDatabase() {
      const { url, drop } = await createDatabase();
      const client = new pg.Client(url);
      await client.connect();
      return { client, url, close: async () => client.end().then(drop) };
    },
    async openScene({ backend, instanceIds, apiUrl }) {
      const { url, drop } = await createDatabase();
      const key = randomBytes(32);
      const env: Record<string, string> = {
        DATABASE_URL: url,
        AVATARS_SECRET_KEY: key.toString("base64"),
        LOG_LEVEL: "warn",
      };
      if (backend === "redis") {
        if (redis === undefined) throw new Error("there is no redis-server");
        await redis.flush();
        env["REDIS_URL"] = redis.url;
      }
      await runAvatars(["migrate"], env);
      const client = new pg.Client(url);
      await client.connect();
      await addInstances(client, { instanceIds, apiUrl, key });
      return { client, env, close: async () => client.end().then(drop) };
    },
  };
}

/** What `avatars instance add` does, without the time that 200 processes take. */
async function addInstances(
  client: pg.Client,
  { instanceIds, apiUrl, key }: Pick<SceneOptions, "instanceIds" | "apiUrl"> & { readonly key: Uint8Array },
): Promise<void> {
  const box = createSecretBox(key);
  const urls = typeof apiUrl === "string" ? [apiUrl] : apiUrl;
  const instances = instanceIds.map((id, index) => ({ id, apiUrl: urls[index % urls.length] ?? "" }));
  await client.query(
    `insert into avatars.instances (id, api_url, sealed_token)
     select id, api_url, token from unnest($1::text[], $2::text[], $3::text[]) as t (id, api_url, token)`,
    [
      instanceIds,
      instances.map((instance) => instance.apiUrl),
      instances.map((instance) => box.seal("token", instance)),
    ],
  );
}

/** Ids as GREEN-API gives them. */
export function toInstanceIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(1_101_000_001 + index));
}

/**
 * The instance's first import: so many contacts, none known before. Their numbers end in less than 990000, from where
 * on the simulator takes a number as a wish for trouble.
 */
export async function enqueueImport(client: pg.Client, instanceId: string, count: number): Promise<void> {
  await client.query(
    `select avatars.enqueue($1, array(
       select '7900' || lpad(n::text, 7, '0') || '@c.us' from generate_series(1, $2::int) as n
     ))`,
    [instanceId, count],
  );
}

async function openRedis(closer: Closer): Promise<RedisServer | undefined> {
  const server = await startLocalRedis();
  if (server === undefined) return undefined;
  closer.add("Redis", () => server.close());
  const client = new Redis(server.url);
  client.on("error", () => undefined);
  closer.add("connection to Redis", () => client.disconnect());
  const info = await client.info("server");
  const find = (key: string) => new RegExp(`^${key}:(\\S+)`, "m").exec(info)?.[1];
  return {
    url: server.url,
    pid: Number(find("process_id")),
    version: find("redis_version") ?? "unknown",
    flush: async () => void (await client.flushall()),
  };
}

function toDatabaseUrl(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
