import type pg from "pg";

/**
 * Settings for statements that probe the heads of indexes. Without statistics, right after a large import, the server would
 * rather read and sort all: seconds instead of milliseconds. The other settings against that, and against JIT, are set for
 * all connections (database.ts).
 */
const probing = "set local enable_sort = off";

/**
 * Settings for statements that count what an index holds of a large table. Without statistics the server would rather read
 * the table.
 */
const counting = "set local enable_seqscan = off";

/**
 * Settings for statements that count a good part of the contacts, many of them changed since the last vacuum. For those an
 * index alone does not suffice, and in its order each costs the read of a page. Sorted by pages first, each page is read
 * once. The server cannot choose: its knowledge of the visibility map is from the last vacuum.
 */
const countingInPageOrder = `${counting}; set local enable_indexscan = off; set local enable_indexonlyscan = off;
  set local enable_bitmapscan = on; set local work_mem = '32MB'`;

/** The kinds of reading statements, by the settings that they need. */
export type Reading = "probes" | "counts" | "counts-in-page-order";

const settings: Readonly<Record<Reading, string>> = {
  probes: probing,
  counts: counting,
  "counts-in-page-order": countingInPageOrder,
};

/** Runs one reading statement within a transaction, whose other statements keep the settings that they have. */
export async function withReading<Result>(
  client: pg.PoolClient,
  reading: Reading,
  read: () => Promise<Result>,
): Promise<Result> {
  await client.query(`savepoint reading; ${settings[reading]}`);
  const result = await read();
  // The rollback takes the settings back, and nothing else: it was only read.
  await client.query("rollback to savepoint reading; release savepoint reading");
  return result;
}

/** Runs one reading statement with a deadline of its own. */
export async function queryWithin<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  { deadlineMs, reading }: { readonly deadlineMs: number; readonly reading: Reading },
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = await pool.connect();
  let isBroken = true;
  try {
    await client.query(`begin read only; set local statement_timeout = ${deadlineMs}; ${settings[reading]}`);
    const { rows } = await client.query<Row>(sql, values);
    await client.query("commit");
    isBroken = false;
    return rows;
  } finally {
    client.release(isBroken);
  }
}
