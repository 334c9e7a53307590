import type pg from "pg";
import { simulatedInstanceId } from "../../domain/instance-id.ts";
import { endRunSql } from "./end-resync-run.ts";
import { lockGate } from "../postgres/gates.ts";
import { inTransaction } from "../postgres/in-transaction.ts";

/** A night begins when it is prepared. */
const sql = `
select r.id::float8 as id from avatars.resync_runs r
left join avatars.resync_nights n on n.slot_at = r.night_at
where r.ended_at is null and r.next_release_at <= $1 and (r.night_at is null or n.prepared_at is not null)
order by r.next_release_at`;

/** Open runs whose next release is no later than `until`, the longest waiting first. */
export async function findReleasableRuns(pool: pg.Pool, until: Date): Promise<number[]> {
  const { rows } = await pool.query<{ id: number }>(sql, [until]);
  return rows.map(({ id }) => id);
}

/** Nights are counted: before the first one nothing is refreshed. A share of 0 is none. */
const openTricklesSql = `
insert into avatars.resync_runs (instance_id, kind, opened_at, next_release_at)
select i.id, 'trickle', $1, $1 from avatars.instances i
where i.id <> $2 and coalesce(i.resync_day_share, $3) > 0
  and exists (select from avatars.resync_nights)
  and not exists (select from avatars.resync_runs r where r.instance_id = i.id and r.ended_at is null)
on conflict do nothing`;

/**
 * Between two nights, too, each instance refreshes what is due, at its share by day.
 * @param dayShare of instances that set none
 */
export async function openTrickles(pool: pg.Pool, now: Date, dayShare: number): Promise<void> {
  await inTransaction(pool, async (client) => {
    await lockGate(client, "opening runs");
    await client.query(openTricklesSql, [now, simulatedInstanceId, dayShare]);
  });
}

/** There are no nights any more: what is open, and was not asked for by a person, ends. */
export async function switchOff(pool: pg.Pool, now: Date): Promise<void> {
  const { rows } = await pool.query<{ id: string }>(
    "select id from avatars.resync_runs where ended_at is null and kind <> 'manual'",
  );
  for (const { id } of rows) await pool.query(endRunSql, [id, now, "switched-off"]);
}
