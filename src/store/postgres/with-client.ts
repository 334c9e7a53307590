import type pg from "pg";

/** Runs `work` on a connection of its own, which is given up when `work` fails: its state is in doubt then. */
export async function withClient<Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let isBroken = true;
  try {
    const result = await work(client);
    isBroken = false;
    return result;
  } finally {
    client.release(isBroken);
  }
}

/**
 * Runs `work` in a transaction of the connection's. When it resolves, that is committed. When it rejects with an error of
 * the connection, it may be committed or not; in any case the connection is good for nothing then.
 */
export async function transact<Result>(client: pg.PoolClient, work: () => Promise<Result>): Promise<Result> {
  await client.query("begin isolation level read committed");
  const result = await work();
  const { command } = await client.query("commit");
  // What a server answers to the commit of a transaction in which an error was overlooked.
  if (command !== "COMMIT") throw new Error(`the transaction was not committed: ${command}`);
  return result;
}
