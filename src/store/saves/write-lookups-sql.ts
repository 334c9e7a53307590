import { equalsByIndex } from "../postgres/by-index-sql.ts";
import { saveFence } from "./save-fence-sql.ts";
import { avatarColumns, toAvatarSql, writeAvatarsSql } from "./write-avatars-sql.ts";

/** What the statements read of a record `i`. */
export const givenColumns = `i.contact_id, i.epoch, i.attempts, to_timestamp(i.asked_at_ms / 1000) as asked_at, i.kind, i.status, i.error,
    i.due_in_ms * interval '1 ms' as due_in, i.avatar, i.url, to_timestamp(i.url_expires_at_ms / 1000) as url_expires_at, i.version,
    i.refresh is not null as has_refresh, to_timestamp(i.refresh_at_ms / 1000) as refresh_at, i.refresh_step`;

/**
 * A condition that is always true, to be met before anything is written. The triggers that tell the feed of changes of avatars, and
 * that list a contact at its first answer, leave that to statements that say so, for their own transaction.
 */
export const tellsItself = `(select set_config('avatars.changes_told_by', 'statement', true) is not null
    and set_config('avatars.first_answers_listed_by', 'statement', true) is not null)`;

/** The status that a record `i` gives its contact; null: it stays. */
const becomesStatus = "case i.becomes when 'answer' then i.status when 'give-up' then 'unreachable' end";

/**
 * Writes finished lookups, each of another contact, as far as no other transaction has the contact locked.
 *
 * - A clear answer is taken when it was asked for later than the stored one, whatever lease it belongs to (I4).
 * - Everything else has a fence (save-fence-sql.ts).
 * - A contact rests after an answer that is fresh enough for all who wait, or where no batch waits, and after it was given up. An
 *   answer that is too old for one of them leaves it due.
 * - A contact that had a lookup has had its turn, and goes by its due moment from then on. A release keeps the turn.
 * - Only `present` and `absent` touch the avatar (I5), with a fence of its own. After a newer `hidden` one of them is still
 *   the last that was seen.
 * - `clock_timestamp()`, not `now()`: the statement may be old when it comes to a row.
 * - A contact that comes to rest is due again by the refresh policy, unless the source query dropped it. The resync run that
 *   made it due counts it. A run that is removed meanwhile counts nothing.
 *
 * Expects `given`, the records with {@link givenColumns}, by contact id: all writers lock in this order. `looked` has them with
 * what follows for their contacts, which it locks; `is_locked` tells of which. What statements filter by comes first in it.
 * @param keepsImages a condition: are images kept?
 */
export function toWriteLookupsSql(keepsImages: string): string {
  return `looked as materialized (
  select c.id is not null as is_locked, c.unlisted_instance, c.accepts, c.rests, c.becomes, c.resync_run_id, ${avatarColumns}, i.*
  from given i
  left join lateral (
    select c.id, c.resync_run_id, case when c.status = 'unknown' then c.instance_id end as unlisted_instance, ${saveFence.kindSql} as becomes,
      ${saveFence.kindSql} = 'give-up' or i.kind = 'answer' and (c.wanted_at is null or i.asked_at >= coalesce(c.fresh_after, '-infinity')) as rests,
      case when i.kind = 'answer' then i.asked_at >= coalesce(c.checked_at, '-infinity') else ${saveFence.isHeldSql} end as accepts
    from avatars.contacts c where c.id = i.contact_id
    for no key update skip locked
  ) c on true ${toAvatarSql(keepsImages)}
), saved as (
  update avatars.contacts c
  set status = coalesce(${becomesStatus}, c.status),
    checked_at = case i.becomes when 'answer' then i.asked_at else c.checked_at end,
    attempts = least(c.attempts + case when i.becomes = 'release' then 0 else 1 end, 32767),
    last_error = case i.becomes when 'answer' then i.error else coalesce(i.error, c.last_error) end,
    wanted_at = case when not i.rests then c.wanted_at end,
    due_at = case when i.rests then null
      when i.becomes = 'retry' then clock_timestamp() + i.due_in
      when i.becomes = 'answer' then clock_timestamp()
      else c.due_at end,
    turn = case when i.becomes = 'release' then c.turn end,
    refresh_at = case when not i.rests or not i.has_refresh then c.refresh_at when c.is_listed is not false then i.refresh_at end,
    refresh_step = case when i.rests then coalesce(i.refresh_step, c.refresh_step) else c.refresh_step end,
    resync_run_id = case when not i.rests then c.resync_run_id end, ${saveFence.toAssignmentsSql("i.rests")}
  from looked i
  where i.accepts and ${equalsByIndex("c.id", "i.contact_id")}
), listed as (
  insert into avatars.contact_statuses (instance_id, status, contact_id)
  select i.unlisted_instance, ${becomesStatus}, i.contact_id from looked i
  where i.unlisted_instance is not null and i.accepts and ${becomesStatus} <> 'unknown'
), ${writeAvatarsSql}, counts as (
  select i.resync_run_id as id, count(*) as asked, count(*) filter (where i.has_changed) as changed
  from looked i where i.accepts and i.rests and i.resync_run_id is not null
  group by i.resync_run_id
), runs as materialized (
  select c.* from (select * from counts order by id) c
  cross join lateral (select from avatars.resync_runs r where r.id = c.id for no key update) r
), counted as (
  update avatars.resync_runs r set asked = r.asked + c.asked, changed = r.changed + c.changed
  from runs c where ${equalsByIndex("r.id", "c.id")}
)`;
}
