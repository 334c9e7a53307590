import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Arrivals } from "../../domain/ledger/due-queue.ts";

/**
 * What has arrived by transactions that the look before could not see: those that were writing then, and those that began since.
 * The horizon is the snapshot of that look. So nothing is read twice, however long a transaction of another program stays open.
 */
const readSql = `
select pg_current_snapshot()::text as horizon, (
  select coalesce(json_agg(json_build_array(a.id, a.instance_id, a.priority, a.turn)), '[]'::json)
  from avatars.arrivals a
  where a.xid >= pg_snapshot_xmax($1::text::pg_snapshot)
    or a.xid = any (array(select pg_snapshot_xip($1::text::pg_snapshot)))
) as arrivals`;

/** The horizon of a reader that has not looked yet. */
const firstSql = "select pg_current_snapshot()::text as horizon, '[]'::json as arrivals";

type Cells = [id: number, instanceId: InstanceId, priority: number | null, turn: number | null];

/** See {@link RunLedger.readArrivals}. */
export async function readArrivals(pool: pg.Pool, horizon: string | undefined): Promise<Arrivals> {
  const query =
    horizon === undefined ? { text: firstSql } : { name: "read-arrivals", text: readSql, values: [horizon] };
  const { rows } = await pool.query<{ horizon: string; arrivals: Cells[] }>(query);
  const arrivals = (rows[0]?.arrivals ?? []).map(([id, instanceId, priority, turn]) => ({
    id,
    instanceId,
    priority: priority ?? undefined,
    turn: turn ?? undefined,
  }));
  return { horizon: rows[0]!.horizon, arrivals };
}

/** See {@link RunLedger.noteArrivals}: any contacts of these instances. */
export async function noteArrivals(pool: pg.Pool, instanceIds: readonly InstanceId[]): Promise<void> {
  await pool.query("insert into avatars.arrivals (instance_id) select unnest($1::text[])", [instanceIds]);
}

/** A reader looks twenty times a second: what is this old, every one has seen. */
const keptFor = "5 minutes";

/** Removes what every reader has seen. For any process, now and then. */
export async function removeOldArrivals(pool: pg.Pool): Promise<void> {
  await pool.query(
    `delete from avatars.arrivals a where a.id in (
      select id from avatars.arrivals where arrived_at < now() - interval '${keptFor}'
        and xid < pg_snapshot_xmin(pg_current_snapshot()) order by id limit 50000 for update skip locked)`,
  );
}
