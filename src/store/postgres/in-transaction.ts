import type pg from "pg";
import { transact, withClient } from "./with-client.ts";

/**
 * Runs `work` in a transaction of its own: when it resolves it is committed. Where it fails, the connection is given up,
 * which rolls it back whatever state it is in.
 */
export async function inTransaction<Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  return withClient(pool, async (client) => transact(client, async () => work(client)));
}
