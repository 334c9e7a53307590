import type pg from "pg";
import { sleep as sleepFor } from "../../lib/deadline.ts";
import { tryLockGate, type Gate } from "../postgres/gates.ts";
import { inTransaction } from "../postgres/in-transaction.ts";

const removable = ["changes", "batches", "members", "runs", "nights", "erasures", "audits"] as const;
/** How many rows were removed, by what they were. */
export type RemovedRows = Readonly<Partial<Record<(typeof removable)[number], number>>>;

/** The rows that one or several transactions have removed, and whether there are more to remove at once. */
export interface Removal {
  readonly removed: RemovedRows;
  readonly isMore: boolean;
}

/**
 * Removes a few thousand rows in the transaction of `client`, some 30 ms. Locked rows are passed over: it waits for no
 * transaction. It may remember from one call to the next only what is right also where a transaction has failed.
 */
export type RemoveSome = (client: pg.PoolClient) => Promise<Removal>;

export interface RemovalOptions {
  /** The gate that one process has at a time: the others have nothing to do. */
  readonly gate: Gate;
  readonly removeSome: RemoveSome;
  readonly signal: AbortSignal;
  /** The time of all transactions together, ms. Default: 1000. */
  readonly budgetMs?: number;
  /** A monotonic clock, ms. */
  readonly now?: () => number;
  /** Waits so many ms, or until the signal is aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** After each transaction a pause of so many times its length: a fifth of one connection, at most. */
const pauseShare = 4;

/**
 * Row locks are not waited for. A lock on a whole table, such as a migration takes, is not waited for long: others would wait
 * behind. Where the server has no statistics it would rather read all of a table than the head of its index.
 */
const beginSql =
  "select set_config('lock_timeout', '100ms', true), set_config('enable_seqscan', 'off', true)";

/** Removes in small transactions, one after the other, until there is no more, or the budget is spent. */
export async function removeInSteps(
  pool: pg.Pool,
  {
    gate,
    removeSome,
    signal,
    budgetMs = 1_000,
    now = () => performance.now(),
    sleep = sleepFor,
  }: RemovalOptions,
): Promise<Removal> {
  let removed: RemovedRows = {};
  let workedMs = 0;
  for (;;) {
    const startedAt = now();
    const step = await inTransaction(pool, async (client): Promise<Removal> => {
      await client.query(beginSql);
      return (await tryLockGate(client, gate)) ? removeSome(client) : { removed: {}, isMore: false };
    });
    const tookMs = now() - startedAt;
    workedMs += tookMs;
    removed = add(removed, step.removed);
    if (!step.isMore || workedMs >= budgetMs || signal.aborted) return { removed, isMore: step.isMore };
    await sleep(tookMs * pauseShare, signal);
  }
}

function add(all: RemovedRows, some: RemovedRows): RemovedRows {
  const sums = { ...all };
  for (const name of removable) {
    if (some[name] !== undefined) sums[name] = (sums[name] ?? 0) + some[name];
  }
  return sums;
}
