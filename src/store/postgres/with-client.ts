import type pg from "pg";

/** Runs `work` on a connection of its own. When `work` fails the connection is given up: its state is in doubt. */
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
 * Runs `work` in a transaction of the connection's. When it resolves, that is committed. When it rejects with an error of the
 * connection, it is open whether it was committed. The connection is good for nothing then.
 */
export async function transact<Result>(client: pg.PoolClient, work: () => Promise<Result>): Promise<Result> {
  await client.query("begin isolation level read committed");
  const result = await work();
  const { command } = await client.query("commit");
  // A server answers otherwise to the commit of a transaction in which an error was overlooked.
  if (command !== "COMMIT") throw new Error(`the transaction was not committed: ${command}`);
  return result;
}
