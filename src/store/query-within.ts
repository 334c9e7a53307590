import type pg from "pg";

/**
 * For statements that probe the heads of indexes. Right after a large import, when the server has no statistics yet, it
 * would rather read and sort all of them: seconds instead of milliseconds.
 */
const probing = "set local enable_sort = off; set local enable_bitmapscan = off";

/**
 * Runs one reading statement with a deadline of its own, and without JIT: compiling takes longer than reading does.
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
      `begin read only; set local statement_timeout = ${deadlineMs}; set local jit = off; ${probes ? probing : ""}`,
    );
    const { rows } = await client.query<Row>(sql, values);
    await client.query("commit");
    isBroken = false;
    return rows;
  } finally {
    client.release(isBroken);
  }
}
