import type pg from "pg";
import { codeOf } from "./database.ts";
import { lockNotAvailable } from "./sqlstate.ts";

/**
 * Locks that one of all processes has at a time: a row of `avatars.gates` each. Any role of the database may take an advisory
 * lock, of any number, and stop the work. Gates need rights on the table.
 */
export type Gate =
  | "opening runs"
  | "old changes"
  | "old batches"
  | "old resyncs"
  | "old erasures"
  | "old audit";

const toLockSql = (isPatient: boolean) => `
select exists (select from avatars.gates where name = $1) as is_there,
  (select true from (select from avatars.gates where name = $1 for update ${isPatient ? "" : "skip locked"}) g) as is_locked`;

const lockSql = toLockSql(true);
const tryLockSql = toLockSql(false);

/** Has the gate until the end of the transaction. Waits for other processes, as long as the connection's `lock_timeout`. */
export async function lockGate(client: pg.PoolClient, gate: Gate): Promise<void> {
  await lock(client, gate, lockSql);
}

/** Has the gate until the end of the transaction, without a wait. False: another process has it. */
export async function tryLockGate(client: pg.PoolClient, gate: Gate): Promise<boolean> {
  return lock(client, gate, tryLockSql);
}

async function lock(client: pg.PoolClient, gate: Gate, sql: string): Promise<boolean> {
  const { rows } = await client.query<{ is_there: boolean; is_locked: boolean | null }>(sql, [gate]);
  // Without its row two processes would both go on.
  if (!rows[0]?.is_there) throw new Error(`the table avatars.gates lacks the row "${gate}"`);
  return rows[0].is_locked === true;
}

/**
 * Begins a transaction that has a lock for minutes, until the caller ends it. Without an id or a snapshot it holds back no
 * vacuum. False: another process has the lock, and there is no transaction.
 */
export async function beginPreparing(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query(`begin isolation level read committed;
      set local idle_in_transaction_session_timeout = 0;
      lock table avatars.gates in share update exclusive mode nowait`);
    return true;
  } catch (error) {
    if (codeOf(error) !== lockNotAvailable) throw error;
    await client.query("rollback");
    return false;
  }
}
