import type { RemoveSome } from "./remove-in-steps.ts";

const lookedAtAtOnce = 5_000;

/** A transaction that has a change locked erases its contact, and removes the change. */
const sql = `
with looked as materialized (
  select id, seen_at < now() - $2::float8 * interval '1 ms' as is_old
  from avatars.avatar_changes where id > $1 order by id limit ${lookedAtAtOnce}
), locked as materialized (
  select id from avatars.avatar_changes where id = any (array(select id from looked where is_old))
  for update skip locked
), removed as (
  delete from avatars.avatar_changes where id = any (array(select id from locked)) returning id
), missed as (
  update avatars.webhook_endpoints e set missed = e.missed + (select count(*) from removed r where r.id > e.cursor)
  where e.cursor < (select max(id) from removed)
)
select count(*)::int as looked, count(*) filter (where is_old)::int as old, max(id) as last,
  (select count(*) from removed)::int as removed
from looked`;

interface Row {
  readonly looked: number;
  readonly old: number;
  readonly last: string | null;
  readonly removed: number;
}

/**
 * Makes the step that removes the changes of avatars that were seen before a moment. Their ids are in about the order of
 * time: a call may be sent minutes before its answer is written. So it goes up from the lowest id, also over some that are
 * too young. It ends where none of the next 5,000 is old.
 *
 * Endpoints of webhooks that had still to be told of them count how many they have missed.
 *
 * It goes on behind what it has looked at, since the index may still be full of what is gone. At the end it begins anew.
 */
export function createChangeRemover(keepMs: number): RemoveSome {
  let after = "0";
  return async (client) => {
    const { rows } = await client.query<Row>(sql, [after, keepMs]);
    const { looked = 0, old = 0, last = null, removed = 0 } = rows[0] ?? {};
    const isMore = looked === lookedAtAtOnce && old > 0;
    after = (isMore ? last : null) ?? "0";
    return { removed: { changes: removed }, isMore };
  };
}
