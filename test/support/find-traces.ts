import type { Redis } from "ioredis";
import type pg from "pg";

/** Where a text is in the database: each table of each schema but the server's own, any column, as its text. */
export async function findInPostgres(pool: pg.Pool, text: string): Promise<string[]> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^(pg_|information_schema)' order by 1`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    // A bytea's text is hex: as the bytes of the text, too.
    const { rowCount } = await pool.query(
      `select from ${name} as t where position($1 in t::text) > 0 or position(encode(convert_to($1, 'UTF8'), 'hex') in t::text) > 0`,
      [text],
    );
    if (rowCount) found.push(name);
  }
  return found;
}

/** Keys of a Redis that have a text in their name or anywhere in what they hold. */
export async function findInRedis(redis: Redis, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of await redis.keys("*")) {
    const type = await redis.type(key);
    const read = readers[type];
    if (read === undefined) throw new Error(`${key} is a ${type}`);
    if (`${key}\n${JSON.stringify(await read(redis, key))}`.includes(text)) found.push(key);
  }
  return found;
}

const readers: Readonly<Record<string, (redis: Redis, key: string) => Promise<unknown>>> = {
  string: async (redis, key) => redis.get(key),
  hash: async (redis, key) => redis.hgetall(key),
  list: async (redis, key) => redis.lrange(key, 0, -1),
  set: async (redis, key) => redis.smembers(key),
  zset: async (redis, key) => redis.zrange(key, "0", "-1"),
  stream: async (redis, key) => redis.xrange(key, "-", "+"),
  // It expired since the list was read.
  none: async () => undefined,
};
