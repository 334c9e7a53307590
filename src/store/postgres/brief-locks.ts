import type pg from "pg";

/**
 * How long each lock is waited for where a caller waits for an answer, ms. Then all is tried again, with the connection free
 * in between.
 */
export const briefLockMs = 250;

/** Has the transaction wait for each lock of another one no longer than {@link briefLockMs}. */
export async function waitBriefly(client: pg.PoolClient): Promise<void> {
  await client.query(`set local lock_timeout = ${briefLockMs}`);
}
