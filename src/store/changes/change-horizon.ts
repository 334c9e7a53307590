import type pg from "pg";
import { codeOf } from "../postgres/database.ts";
import { lockNotAvailable } from "../postgres/sqlstate.ts";
import { withClient } from "../postgres/with-client.ts";

export interface HorizonOptions {
  /** A horizon younger than this is given again. Default: 100. */
  readonly shareMs?: number;
  /** The longest wait for writers, ms; others of them wait behind it. Default: 250. */
  readonly lockTimeoutMs?: number;
  /** After a wait in vain no reader tries again for so long: writers queue up behind each wait. Default: 2000. */
  readonly restMs?: number;
  /** A monotonic clock, ms. */
  readonly now?: () => number;
}

/** The horizon of the feed of changes: all ids up to it are committed, or will never be. */
export interface ChangeHorizon {
  /** The last horizon that was read; it stays true. 0: none yet. */
  readonly known: () => number;
  /** Is it so young that reading another would tell nothing new? */
  readonly isFresh: () => boolean;
  /**
   * A horizon that was read within the last 100 ms, or is being read, else a new one. All readers share it. Rejects, as
   * `isTransient` knows, when a transaction that has written changes stays open for longer than the wait.
   */
  readonly read: () => Promise<number>;
}

/**
 * Writers hold the gate, an empty table, beside each other: from before they take an id to their commit
 * (`enter_change_gate`, `record_avatar_change`). No other role has the rights to lock it. The maximum has a statement of its own, which sees all
 * that was committed before the lock was had. One round trip.
 */
const toSql = (lockTimeoutMs: number) => `
begin isolation level read committed;
set local lock_timeout = ${lockTimeoutMs};
lock table avatars.change_gate in share mode;
select greatest(coalesce((select max(id) from avatars.avatar_changes), 0),
  coalesce((select max(id) from avatars.webhook_events), 0)) as horizon;
commit`;

export function createChangeHorizon(
  pool: pg.Pool,
  {
    shareMs = 100,
    lockTimeoutMs = 250,
    restMs = 2_000,
    now = performance.now.bind(performance),
  }: HorizonOptions = {},
): ChangeHorizon {
  const sql = toSql(lockTimeoutMs);
  let known = 0;
  let reading: Promise<number> | undefined;
  let sharedUntil = -Infinity;
  const isShared = () => now() < sharedUntil;

  async function renew(): Promise<number> {
    sharedUntil = Infinity;
    try {
      // The highest change may have been erased.
      known = Math.max(known, await readHorizon(pool, sql));
      sharedUntil = now() + shareMs;
      return known;
    } catch (error) {
      sharedUntil = codeOf(error) === lockNotAvailable ? now() + restMs : -Infinity;
      throw error;
    }
  }

  return {
    known: () => known,
    isFresh: isShared,
    read() {
      if (reading === undefined || !isShared()) reading = renew();
      return reading;
    },
  };
}

async function readHorizon(pool: pg.Pool, sql: string): Promise<number> {
  return withClient(pool, async (client) => {
    // Several statements have several results, which the driver's types do not say.
    const results: unknown = await client.query(sql);
    return toHorizon(results);
  });
}

function toHorizon(results: unknown): number {
  const rows = Array.isArray(results)
    ? (results as pg.QueryResult<{ horizon: string }>[])[3]?.rows
    : undefined;
  if (rows?.[0] === undefined) throw new Error("the horizon of changes was not read");
  return Number(rows[0].horizon);
}
