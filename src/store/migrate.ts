import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import { UserError } from "../lib/errors.ts";
import { codeOf, searchPathOption } from "./database.ts";

/** Any number that nobody else uses: "avat". */
const advisoryLockKey = 0x61766174;

const migrationsFolder = fileURLToPath(new URL("../../migrations", import.meta.url));

/**
 * Brings the schema `avatars` up to date. Of several processes that start at once one does it, the others
 * wait for it and find nothing to do. The lock goes with the connection, so a crash cannot leave it behind.
 * @throws UserError `migration-failed`
 */
export async function migrateLedger(pool: pg.Pool): Promise<void> {
  // A connection of its own: a migration of a large table may take longer than the pool allows any other statement.
  const client = new pg.Client({
    connectionString: pool.options.connectionString,
    keepAlive: true,
    options: searchPathOption,
  });
  try {
    await client.connect();
    await client.query("select pg_advisory_lock($1)", [advisoryLockKey]);
    await migrate(drizzle(client), {
      migrationsFolder,
      migrationsSchema: "avatars",
      migrationsTable: "migrations",
    });
  } catch (cause) {
    throw new UserError(
      "migration-failed",
      `the database cannot be migrated (${codeOf(cause) ?? "unknown cause"}): check that the role of DATABASE_URL may create schemas in it`,
      { cause },
    );
  } finally {
    await client.end();
  }
}

/**
 * @throws UserError `not-migrated` where `avatars migrate` has not run yet, or not for this version
 */
export async function assertMigrated(pool: pg.Pool): Promise<void> {
  const expected = readMigrationFiles({ migrationsFolder }).length;
  const applied = await countApplied(pool);
  if (applied >= expected) return;
  throw new UserError(
    "not-migrated",
    applied === 0
      ? "the database holds no contact-avatars tables yet: run avatars migrate first"
      : `the database is ${expected - applied} migration(s) behind this version: run avatars migrate`,
  );
}

async function countApplied(pool: pg.Pool): Promise<number> {
  try {
    const { rows } = await pool.query<{ applied: number }>(
      "select count(*)::int as applied from avatars.migrations",
    );
    return rows[0]?.applied ?? 0;
  } catch (error) {
    // 42P01: no such table, 3F000: no such schema.
    if (codeOf(error) === "42P01" || codeOf(error) === "3F000") return 0;
    throw error;
  }
}
