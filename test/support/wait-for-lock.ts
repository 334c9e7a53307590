import type pg from "pg";
import { eventually } from "./eventually.ts";

/** Resolves when a statement waits for a lock in the pool's database. */
export async function waitForLock(pool: pg.Pool): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await pool.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    if (rowCount === 0) throw new Error("no statement waits");
  });
}
