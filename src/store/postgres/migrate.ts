import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import { sleep } from "../../lib/deadline.ts";
import { UserError } from "../../lib/errors.ts";
import { codeOf, searchPathOption } from "./database.ts";
import {
  deadlockDetected,
  duplicateObject,
  duplicateSchema,
  duplicateTable,
  invalidSchemaName,
  lockNotAvailable,
  undefinedTable,
  uniqueViolation,
} from "./sqlstate.ts";

const migrationsFolder = fileURLToPath(new URL("../../../migrations", import.meta.url));

export interface MigrationWaits {
  /** Wait for another process that migrates: a large table takes minutes. ms */
  readonly gateMs: number;
  /** Wait for tables that other programs use: all the product's statements queue up behind. ms */
  readonly lockMs: number;
  /** How often tables are tried, with a pause of a second in between. */
  readonly tries: number;
}

const defaultWaits: MigrationWaits = { gateMs: 900_000, lockMs: 2_000, tries: 20 };

/**
 * Brings the schema `avatars` up to date. Of several processes that start at once one does it, the others
 * wait for it and find nothing to do. The lock goes with the connection, so a crash cannot leave it behind.
 * @throws UserError `migration-failed`, `migration-waits`: another process, or the transaction of another program, is in the way
 */
export async function migrateLedger(pool: pg.Pool, waits: MigrationWaits = defaultWaits): Promise<void> {
  const gate = connect(pool, waits.gateMs);
  try {
    await gate.connect();
    await createGate(gate);
    await enterGate(gate);
    await migrateInTurn(pool, waits);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(
      "migration-failed",
      `the database cannot be migrated (${codeOf(cause) ?? "unknown cause"}): check that the role of DATABASE_URL may create schemas in it`,
      { cause },
    );
  } finally {
    await gate.end();
  }
}

/** Connections of their own: a migration of a large table may take longer than the pool allows any other statement. */
function connect(pool: pg.Pool, lockMs: number): pg.Client {
  const { connectionString, options: sessionOptions } = pool.options;
  const options = `${sessionOptions ?? ""} ${searchPathOption} -c lock_timeout=${lockMs}`;
  const client = new pg.Client({ connectionString, keepAlive: true, options });
  // A connection that is lost between two statements would end the process without a listener: the next statement tells.
  client.on("error", () => undefined);
  return client;
}

/** Errors that two processes meet which create the same at once: it is there, in one way or another. */
const alreadyThere = new Set<string>([uniqueViolation, duplicateSchema, duplicateTable, duplicateObject]);
const createTries = 5;

/** An empty table: a lock on it is none that another role could take, as an advisory lock would be. */
async function createGate(client: pg.Client): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await client.query("create schema if not exists avatars");
      await client.query("create table if not exists avatars.migration_gate ()");
      return;
    } catch (error) {
      if (tries === createTries || !alreadyThere.has(codeOf(error) ?? "")) throw error;
    }
  }
}

async function enterGate(client: pg.Client): Promise<void> {
  try {
    await client.query(`begin; set local idle_in_transaction_session_timeout = 0;
      lock table avatars.migration_gate in exclusive mode`);
  } catch (cause) {
    if (codeOf(cause) !== lockNotAvailable) throw cause;
    throw new UserError(
      "migration-waits",
      "another process has been migrating the database for a long time: see what it does in pg_stat_activity, and try again when it has ended",
      { cause, retryable: true },
    );
  }
}

const pauseMs = 1_000;
/** Errors that say that others hold the tables, and no more. */
const inTheWay = new Set<string>([lockNotAvailable, deadlockDetected]);

async function migrateInTurn(pool: pg.Pool, { lockMs, tries: mostTries }: MigrationWaits): Promise<void> {
  const client = connect(pool, lockMs);
  try {
    await client.connect();
    for (let tries = 1; ; tries += 1) {
      try {
        await migrate(drizzle(client), {
          migrationsFolder,
          migrationsSchema: "avatars",
          migrationsTable: "migrations",
        });
        return;
      } catch (cause) {
        if (!inTheWay.has(codeOf(cause) ?? "")) throw cause;
        if (tries === mostTries) throw await toHeldError(client, cause);
        await sleep(pauseMs);
      }
    }
  } finally {
    await client.end();
  }
}

/** The oldest transaction that has a lock on one of our tables. */
const holderSql = `
select a.pid, a.usename as role, extract(epoch from clock_timestamp() - a.xact_start)::int as seconds
from pg_locks l join pg_class c on c.oid = l.relation join pg_stat_activity a on a.pid = l.pid
where l.database = (select oid from pg_database where datname = current_database())
  and c.relnamespace = 'avatars'::regnamespace and c.relname <> 'migration_gate' and l.granted and a.pid <> pg_backend_pid()
order by a.xact_start limit 1`;

async function toHeldError(client: pg.Client, cause: unknown): Promise<UserError> {
  const { rows } = await client.query<{ pid: number; role: string; seconds: number }>(holderSql);
  const [holder] = rows;
  const who = holder
    ? `a transaction of the role ${holder.role} (process ${holder.pid}, open for ${holder.seconds} s) holds its tables`
    : "other transactions hold its tables";
  return new UserError(
    "migration-waits",
    `the database cannot be migrated while ${who}: end it, and try again; nothing was changed`,
    { cause, retryable: true },
  );
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
    if (codeOf(error) === undefinedTable || codeOf(error) === invalidSchemaName) return 0;
    throw error;
  }
}
