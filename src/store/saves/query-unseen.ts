import type pg from "pg";
import { codeOf } from "../postgres/database.ts";
import { uniqueViolation } from "../postgres/sqlstate.ts";
import { withClient } from "../postgres/with-client.ts";

/**
 * Runs a statement, and once more where a row that it wanted to add was there already, added by another process since it began: a
 * new statement sees it. On the same connection, which answers only after the locks of the first try are free.
 */
export async function queryUnseen<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  statement: pg.QueryConfig,
): Promise<Row[]> {
  return withClient(pool, async (client) => {
    try {
      return (await client.query<Row>(statement)).rows;
    } catch (error) {
      if (codeOf(error) !== uniqueViolation) throw error;
      return (await client.query<Row>(statement)).rows;
    }
  });
}
