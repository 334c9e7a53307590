import type pg from "pg";

/**
 * For statements that probe the heads of indexes. Right after a large import, when the server has no statistics yet, it
 * would rather read and sort all of them: seconds instead of milliseconds. What else keeps it from that, and JIT away, is
 * set for all connections (database.ts).
 */
const probing = "set local enable_sort = off";

/**
 * Runs one reading statement with a deadline of its own.
 * @param options.probes the statement looks at the heads of indexes only
 */
export async function queryWithin<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  { deadlineMs, probes }: { readonly deadlineMs: number; readonly probes: boolean },
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = await pool.connect();
  let isBroken = true;
  try {
    await client.query(
      `begin read only; set local statement_timeout = ${deadlineMs}; ${probes ? probing : ""}`,
    );
    const { rows } = await client.query<Row>(sql, values);
    await client.query("commit");
    isBroken = false;
    return rows;
  } finally {
    client.release(isBroken);
  }
}
