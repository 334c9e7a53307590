import { DrizzleQueryError } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import pg from "pg";
import { settleWithin } from "../../lib/deadline.ts";
import { UserError } from "../../lib/errors.ts";
import { toConnection, toSafeAddress } from "../../lib/postgres-url.ts";
import { parseMoment } from "./parse-moment.ts";

/** The pool and drizzle on it. `close` ends the pool and may be called twice. */
export interface Database {
  readonly pool: pg.Pool;
  readonly orm: NodePgDatabase;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly maxConnections: number;
  /**
   * Statements go by indexes, in their order, whatever statistics say. A plan that was made while a table was empty would read it
   * all for ever. For statements that are all meant to.
   */
  readonly readsByIndex?: boolean;
  /** Shorter waits than those of background work, for callers who wait for an answer. */
  readonly deadlines?: DatabaseDeadlines;
  /** Called when an idle connection is lost; the pool opens another. */
  readonly onConnectionLost?: (error: Error) => void;
}

/** Every wait has an end (I8): for a connection, for a statement, and for each lock that it meets (docs/lock-waits.md). */
export interface DatabaseDeadlines {
  readonly connectMs: number;
  readonly statementMs: number;
  readonly lockMs: number;
}

const defaultDeadlines: DatabaseDeadlines = { connectMs: 10_000, statementMs: 60_000, lockMs: 1_000 };
const closeDeadlineMs = 5_000;
/**
 * The statements that count read the heads of indexes. Compiling one takes longer than running it, a second and more where
 * much is due. Right after a large import, without statistics, the server would rather read and sort all.
 */
const plannerOptions = "-c jit=off -c enable_bitmapscan=off";
/** One plan for all values, too: the server would make one for each small batch, which takes longer than to save it. */
const byIndexOptions =
  "-c enable_seqscan=off -c enable_sort=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan";
/**
 * Names without a schema are the server's own, or of the session's temporary tables. A role that may create objects in
 * `public` must not put one in the place of `cardinality` or `=`.
 */
export const searchPathOption = "-c search_path=pg_catalog,pg_temp";
const sessionOptions = `${searchPathOption} ${plannerOptions}`;

/** The driver makes a number of an infinite `timestamptz`, and an invalid date of one beyond year 275760. */
const typesWithMoments: pg.CustomTypesConfig = {
  getTypeParser: (oid: typeof pg.types.builtins.TIMESTAMPTZ, format?: "text" | "binary") =>
    oid === pg.types.builtins.TIMESTAMPTZ && format !== "binary"
      ? parseMoment
      : (pg.types.getTypeParser(oid, format) as (text: string) => unknown),
};

/**
 * Connects, once, to be sure that the database answers.
 * @throws UserError `database-unreachable`
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { connectMs, statementMs, lockMs } = options.deadlines ?? defaultDeadlines;
  const pool = new pg.Pool({
    ...toConnection(
      options.url,
      [sessionOptions, `-c lock_timeout=${lockMs}`, ...(options.readsByIndex ? [byIndexOptions] : [])].join(
        " ",
      ),
    ),
    max: options.maxConnections,
    connectionTimeoutMillis: connectMs,
    // A server that vanished without a word: the statement fails here instead of hanging for ever.
    query_timeout: statementMs + 5_000,
    statement_timeout: statementMs,
    keepAlive: true,
    types: typesWithMoments,
    application_name: "contact-avatars",
  });
  let closing: Promise<void> | undefined;
  pool.on("error", (error) => {
    // Without a listener a lost idle connection would end the process. While the pool is closed none is lost: a server that
    // stops right after us may outrun its goodbye.
    if (!closing) options.onConnectionLost?.(error);
  });
  // A connection may also be lost while it is checked out, between two statements: the next one tells.
  pool.on("connect", (client) => void client.on("error", () => undefined));
  try {
    await pool.query("select 1");
  } catch (cause) {
    await pool.end();
    throw toUnreachableError(options.url, cause);
  }
  return {
    pool,
    orm: drizzle(pool),
    // A server that hangs must not keep us.
    close: () => (closing ??= settleWithin(pool.end(), closeDeadlineMs).then(() => undefined)),
  };
}

function toUnreachableError(url: string, cause: unknown): UserError {
  const code = codeOf(cause) ?? "no answer";
  return new UserError(
    "database-unreachable",
    `cannot connect to Postgres at ${toSafeAddress(url, "the address in DATABASE_URL")} (${code}): check DATABASE_URL, and that the server runs`,
    { cause, retryable: true },
  );
}

/** SQLSTATE, or Node's code for a connection error; drizzle keeps the error with the code as its cause. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return "cause" in error ? codeOf(error.cause) : undefined;
}

/**
 * Would the same statement succeed if it were sent again? True for deadlocks, serialization failures,
 * lost connections and servers that are starting or stopping. All of our writes are idempotent.
 */
export function isTransient(error: unknown): boolean {
  const code = codeOf(error);
  if (code === undefined) return isLostConnection(error);
  return /^(40001|40P01|55P03|57P0\d|57014|53\d{3}|08\w{3}|E[A-Z]+)$/.test(code);
}

/** `pg` says it in words alone. Drizzle's own words around them hold the statement, with all that is in it. */
function isLostConnection(error: unknown): boolean {
  const told = error instanceof DrizzleQueryError ? error.cause : error;
  return told instanceof Error && /connection|timeout/i.test(told.message);
}
