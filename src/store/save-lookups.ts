import type pg from "pg";
import type { LookupRecord } from "../domain/claim.ts";
import { assertNever } from "../lib/errors.ts";
import { toStorableText } from "./storable-text.ts";

/** Nobody waits for a newer answer than this one: the contact may rest. */
const settled = `(i.kind = 'give-up' or i.kind = 'answer' and i.asked_at >= coalesce(c.fresh_after, '-infinity'))`;

/**
 * One statement for any number of finished lookups, each of another contact.
 *
 * - A clear answer is taken when it was asked for later than the one we have, whoever holds the claim (I4).
 * - Everything else is taken only from the holder of the claim: a zombie spends nobody's attempts.
 * - An answer that is too old for somebody who waits leaves the contact due.
 * - Whoever has had a lookup has had its turn, and goes by its due moment from then on; a release keeps it.
 * - Only `present` and `absent` touch the avatar (I5), with a fence of its own: one that comes after a newer `hidden`
 *   is still the last that was seen. Its history is written by a trigger.
 * - `clock_timestamp()`, not `now()`: the statement may have waited for a row lock.
 * - Rows are locked in the order of their id, so that two savers cannot deadlock.
 * - Whoever comes to rest is due again by the refresh policy, unless the source query does not list it any more; the resync run
 *   that made it due counts it. A run that is removed meanwhile counts nothing.
 */
const sql = `
with incoming as materialized (
  select i.*, to_timestamp(i.asked_at_ms / 1000) as asked_at
  from json_to_recordset($1::json) as i (
    contact_id bigint, run_id uuid, asked_at_ms float8, kind text, status text, error text, due_in_ms float8,
    avatar text, url text, url_expires_at_ms float8, version text, refresh text, refresh_at_ms float8, refresh_step smallint)
), locked as materialized (
  select c.id, c.resync_run_id from avatars.contacts c
  where c.id in (select contact_id from incoming)
  order by c.id for no key update
), saved as (
  update avatars.contacts c
  set status = case i.kind when 'answer' then i.status when 'give-up' then 'unreachable' else c.status end,
    checked_at = case i.kind when 'answer' then i.asked_at else c.checked_at end,
    attempts = least(c.attempts + case when i.kind = 'release' then 0 else 1 end, 32767),
    last_error = case i.kind when 'answer' then i.error else coalesce(i.error, c.last_error) end,
    wanted_at = case when ${settled} then null else c.wanted_at end,
    due_at = case when ${settled} then null
      when i.kind = 'retry' then clock_timestamp() + i.due_in_ms * interval '1 ms'
      when i.kind = 'answer' then clock_timestamp()
      else c.due_at end,
    turn = case when i.kind = 'release' then c.turn end,
    refresh_at = case when not ${settled} or i.refresh is null then c.refresh_at
      when c.is_listed is not false then to_timestamp(i.refresh_at_ms / 1000) end,
    refresh_step = case when ${settled} then coalesce(i.refresh_step, c.refresh_step) else c.refresh_step end,
    resync_run_id = case when not ${settled} then c.resync_run_id end,
    claimed_by = case when ${settled} or c.claimed_by = i.run_id then null else c.claimed_by end,
    claimed_until = case when ${settled} or c.claimed_by = i.run_id then null else c.claimed_until end
  from incoming i join locked l on l.id = i.contact_id
  where c.id = i.contact_id
    and case when i.kind = 'answer' then i.asked_at >= coalesce(c.checked_at, '-infinity') else c.claimed_by = i.run_id end
  returning c.id, l.resync_run_id, c.resync_run_id is null as has_ended
), seen as (
  insert into avatars.avatars as a (contact_id, url, url_expires_at, version, first_seen_at, changed_at, seen_at)
  select i.contact_id, i.url, to_timestamp(i.url_expires_at_ms / 1000), i.version, i.asked_at, i.asked_at, i.asked_at
  from incoming i join locked l on l.id = i.contact_id
  where i.avatar in ('seen', 'none')
  order by i.contact_id
  on conflict (contact_id) do update set
    url = excluded.url, url_expires_at = excluded.url_expires_at, version = excluded.version, seen_at = excluded.seen_at,
    changed_at = case when a.version is distinct from excluded.version then excluded.changed_at else a.changed_at end,
    changes = a.changes + case when a.version is distinct from excluded.version then 1 else 0 end
  where a.seen_at <= excluded.seen_at
  returning a.contact_id, a.changed_at = a.seen_at and a.first_seen_at < a.seen_at as has_changed
), counts as (
  select s.resync_run_id as id, count(*) as asked, count(*) filter (where v.has_changed) as changed
  from saved s left join seen v on v.contact_id = s.id
  where s.resync_run_id is not null and s.has_ended
  group by s.resync_run_id
), runs as materialized (
  select r.id from avatars.resync_runs r where r.id in (select id from counts) order by r.id for no key update
)
update avatars.resync_runs r set asked = r.asked + c.asked, changed = r.changed + c.changed
from counts c join runs on runs.id = c.id where r.id = c.id`;

/** See {@link RunLedger.saveLookups}. No two records may be of one contact. */
export async function saveLookups(pool: pg.Pool, records: readonly LookupRecord[]): Promise<void> {
  if (records.length === 0) return;
  await pool.query({ name: "save-lookups", text: sql, values: [JSON.stringify(records.map(toRow))] });
}

function toRow({ contactId, runId, askedAtMs, decision, refresh }: LookupRecord) {
  const fence = {
    contact_id: contactId,
    run_id: runId,
    asked_at_ms: askedAtMs,
    kind: decision.kind,
    ...toRefreshCells(refresh),
  };
  switch (decision.kind) {
    case "answer": {
      const { status, note, avatar } = decision;
      const answer = { ...fence, status, error: note && toStorableText(note), avatar: avatar.kind };
      if (avatar.kind !== "seen") return answer;
      return {
        ...answer,
        url: toStorableText(avatar.url),
        url_expires_at_ms: avatar.urlExpiresAt?.getTime(),
        version: toStorableText(avatar.version),
      };
    }
    case "retry":
      return { ...fence, error: toStorableText(decision.error), due_in_ms: decision.dueInMs };
    case "give-up":
    case "release":
      return { ...fence, error: decision.error && toStorableText(decision.error) };
    default:
      return assertNever(decision);
  }
}

function toRefreshCells(refresh: LookupRecord["refresh"]) {
  if (refresh === undefined) return {};
  if (refresh === "never") return { refresh: "never" };
  return { refresh: "at", refresh_at_ms: refresh.at.getTime(), refresh_step: refresh.step };
}
