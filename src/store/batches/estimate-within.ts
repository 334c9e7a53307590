import type pg from "pg";

/** How long a batch takes, ms; undefined where it cannot be told. Reads only. */
export type Estimate = (client: pg.PoolClient, batchId: string) => Promise<number | undefined>;

/**
 * Asks for the estimate in the middle of a transaction. A failure of it, or a deadline that it sets, does not touch the rest.
 */
export async function estimateWithin(
  client: pg.PoolClient,
  estimate: Estimate,
  batchId: string,
): Promise<number | undefined> {
  await client.query("savepoint estimate");
  // A lost connection is met by the next statement.
  const etaMs = await estimate(client, batchId).catch(() => undefined);
  await client.query("rollback to savepoint estimate; release savepoint estimate");
  return etaMs;
}
