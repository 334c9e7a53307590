import type { RemoveSome } from "./remove-in-steps.ts";

const removedAtOnce = 1_000;

/** Open runs stay, however old; so does the last night, since which nights are counted. */
const sql = `
with runs as (
  delete from avatars.resync_runs where id = any (array(
    select r.id from avatars.resync_runs r
    where r.opened_at < now() - $1::float8 * interval '1 ms' and r.ended_at is not null
    order by r.opened_at, r.id limit ${removedAtOnce} for update skip locked
  )) returning 1
), nights as (
  delete from avatars.resync_nights where slot_at = any (array(
    select n.slot_at from avatars.resync_nights n
    where n.slot_at < now() - $1::float8 * interval '1 ms' and n.slot_at < (select max(slot_at) from avatars.resync_nights)
      and not exists (select from avatars.resync_runs r where r.night_at = n.slot_at)
    order by n.slot_at limit ${removedAtOnce} for update skip locked
  )) returning 1
)
select (select count(*) from runs)::int as runs, (select count(*) from nights)::int as nights`;

/** Makes the step that removes resync runs that are over, and nights that have no run left. */
export function createResyncRemover(keepMs: number): RemoveSome {
  return async (client) => {
    const { rows } = await client.query<{ runs: number; nights: number }>(sql, [keepMs]);
    const { runs = 0, nights = 0 } = rows[0] ?? {};
    return { removed: { runs, nights }, isMore: runs === removedAtOnce || nights === removedAtOnce };
  };
}
