import type pg from "pg";

/** Any number that nobody else uses. */
const openingLock = 7_265_737_901;

/** Whoever opens resync runs does so one after the other: to the end of the transaction. */
export async function lockOpening(client: pg.PoolClient): Promise<void> {
  await client.query("select pg_advisory_xact_lock($1)", [openingLock]);
}
