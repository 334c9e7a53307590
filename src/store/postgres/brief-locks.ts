import type pg from "pg";

/** How long a caller who waits for an answer waits for each lock, ms; tried again then, with the connection free in between. */
export const briefLockMs = 250;

/** Of the transaction: what another one holds is waited for no longer than {@link briefLockMs}. */
export async function waitBriefly(client: pg.PoolClient): Promise<void> {
  await client.query(`set local lock_timeout = ${briefLockMs}`);
}
