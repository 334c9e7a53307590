import type pg from "pg";
import type { SaveReport } from "../../domain/lookup/claim.ts";
import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";
import { assertNever } from "../../lib/errors.ts";
import { toStorableText } from "../postgres/storable-text.ts";
import { writeAvatarsSql } from "./write-avatars-sql.ts";

/** A record as {@link toRow} makes it, read out of JSON. */
const cellsSql = `i (
    contact_id bigint, run_id uuid, asked_at_ms float8, kind text, status text, error text, due_in_ms float8,
    avatar text, url text, url_expires_at_ms float8, version text, refresh text, refresh_at_ms float8, refresh_step smallint)`;

/**
 * Writes finished lookups, each of another contact, as far as no other transaction has the contact locked.
 *
 * - A clear answer is taken when it was asked for later than the stored one, whatever run claims (I4).
 * - Everything else is taken only from the holder of the claim: a zombie spends no attempts.
 * - A contact rests after an answer that is fresh enough for all who wait, or where no batch waits, and after it was given up. An answer that is too old
 *   for one of them leaves it due.
 * - A contact that had a lookup has had its turn, and goes by its due moment from then on. A release keeps the turn.
 * - Only `present` and `absent` touch the avatar (I5), with a fence of its own. After a newer `hidden` one of them is still
 *   the last that was seen. Its history is written by a trigger.
 * - `clock_timestamp()`, not `now()`: the statement may be old when it comes to a row.
 * - A contact that comes to rest is due again by the refresh policy, unless the source query dropped it. The resync run that
 *   made it due counts it. A run that is removed meanwhile counts nothing.
 *
 * Expects `incoming`, the records, and `locked`, the contacts that are ours until the end, with their `fresh_after`.
 */
const writeSql = `
saved as (
  update avatars.contacts c
  set status = case i.kind when 'answer' then i.status when 'give-up' then 'unreachable' else c.status end,
    checked_at = case i.kind when 'answer' then i.asked_at else c.checked_at end,
    attempts = least(c.attempts + case when i.kind = 'release' then 0 else 1 end, 32767),
    last_error = case i.kind when 'answer' then i.error else coalesce(i.error, c.last_error) end,
    wanted_at = case when not n.rests then c.wanted_at end,
    due_at = case when n.rests then null
      when i.kind = 'retry' then clock_timestamp() + i.due_in_ms * interval '1 ms'
      when i.kind = 'answer' then clock_timestamp()
      else c.due_at end,
    turn = case when i.kind = 'release' then c.turn end,
    refresh_at = case when not n.rests or i.refresh is null then c.refresh_at
      when c.is_listed is not false then to_timestamp(i.refresh_at_ms / 1000) end,
    refresh_step = case when n.rests then coalesce(i.refresh_step, c.refresh_step) else c.refresh_step end,
    resync_run_id = case when not n.rests then c.resync_run_id end,
    claimed_by = case when not n.rests and c.claimed_by is distinct from i.run_id then c.claimed_by end,
    claimed_until = case when not n.rests and c.claimed_by is distinct from i.run_id then c.claimed_until end
  from incoming i
  join locked l on l.id = i.contact_id
  cross join lateral (
    select i.kind = 'give-up'
      or i.kind = 'answer' and (l.wanted_at is null or i.asked_at >= coalesce(l.fresh_after, '-infinity')) as rests
  ) n
  where c.id = i.contact_id
    and case when i.kind = 'answer' then i.asked_at >= coalesce(c.checked_at, '-infinity') else c.claimed_by = i.run_id end
  returning c.id, l.resync_run_id, c.resync_run_id is null as has_ended
), ${writeAvatarsSql}, counts as (
  select s.resync_run_id as id, count(*) as asked, count(*) filter (where v.has_changed) as changed
  from saved s left join seen v on v.contact_id = s.id
  where s.resync_run_id is not null and s.has_ended
  group by s.resync_run_id
), runs as materialized (
  select r.id from avatars.resync_runs r where r.id in (select id from counts) order by r.id for no key update
), counted as (
  update avatars.resync_runs r set asked = r.asked + c.asked, changed = r.changed + c.changed
  from counts c join runs on runs.id = c.id where r.id = c.id
)`;

/**
 * Saves in one statement. A contact that another transaction holds is not waited for: its record is put aside with the rest.
 * That takes no lock on the contact that could meet one of theirs. From then on the contact is not claimed.
 *
 * - A record that is put aside already is replaced by a later one, but an answer only by an answer.
 * - A contact that is being erased cannot be referred to: its record is left to the caller.
 */
const saveSql = `
with incoming as materialized (
  select i.*, to_timestamp(i.asked_at_ms / 1000) as asked_at, r.record
  from json_array_elements($1::json) as r (record) cross join lateral json_to_record(r.record) as ${cellsSql}
), locked as materialized (
  select c.id, c.resync_run_id, c.wanted_at, c.fresh_after from avatars.contacts c
  where c.id in (select contact_id from incoming)
  order by c.id for no key update skip locked
), ${writeSql}, unsaved as materialized (
  select array(select contact_id from incoming except select id from locked) as ids
), busy as materialized (
  select c.id, c.instance_id from avatars.contacts c
  where c.id = any ((select ids from unsaved)::bigint[])
  order by c.id for key share skip locked
), put as (
  insert into avatars.lookups_aside as a (contact_id, instance_id, run_id, record)
  select b.id, b.instance_id, i.run_id, i.record from busy b join incoming i on i.contact_id = b.id
  order by b.id
  on conflict (contact_id) do update
  set run_id = excluded.run_id, record = excluded.record, claimed_until = null, put_at = excluded.put_at
  where a.record is null
    or (excluded.record ->> 'kind' = 'answer', (excluded.record ->> 'asked_at_ms')::float8)
      >= (a.record ->> 'kind' = 'answer', (a.record ->> 'asked_at_ms')::float8)
), ended as (
  -- The claims of calls that could not be extended: they are over now.
  delete from avatars.lookups_aside a where a.contact_id = any (array(select id from locked)) and a.record is null
)
select c.id::float8 as id, case when c.id in (select id from busy) then 'aside' else 'left' end as what
from avatars.contacts c where c.id = any ((select ids from unsaved)::bigint[])
union all
select contact_id::float8, 'image-wanted' from seen where is_wanted`;

const appliedAtOnce = 500;

/**
 * Writes records that were put aside, as far as their contacts are free again. Locked ones are passed over, however many
 * there are. Claims of calls whose process is gone are cleared away.
 */
const applySql = `
with locked as materialized (
  select c.id, c.resync_run_id, c.wanted_at, c.fresh_after, a.record
  from avatars.lookups_aside a join avatars.contacts c on c.id = a.contact_id
  where a.record is not null and ($1::bigint is null or a.contact_id = $1)
  limit ${appliedAtOnce}
  for update of a skip locked
  for no key update of c skip locked
), incoming as materialized (
  select i.*, to_timestamp(i.asked_at_ms / 1000) as asked_at
  from locked l cross join lateral json_to_record(l.record) as ${cellsSql}
), ${writeSql}, applied as (
  delete from avatars.lookups_aside a where a.contact_id = any (array(select id from locked))
), expired as (
  delete from avatars.lookups_aside a where a.contact_id in (
    select contact_id from avatars.lookups_aside
    where claimed_until < clock_timestamp() - interval '1 minute' limit ${appliedAtOnce} for update skip locked)
)
select count(*)::int as records from locked`;

/** Contacts whose records are put aside, in no order. */
const listSql = `
select contact_id::float8 as id from avatars.lookups_aside where record is not null limit ${appliedAtOnce}`;

/**
 * See {@link RunLedger.saveLookups}. No two records may be of one contact.
 * @param keepsImages are the images of avatars taken, beside their URLs?
 */
export async function saveLookups(
  pool: pg.Pool,
  records: readonly LookupRecord[],
  keepsImages: boolean,
): Promise<SaveReport> {
  if (records.length === 0) return { setAside: new Set(), left: new Set(), imageWanted: new Set() };
  const { rows } = await pool.query<{ id: number; what: "aside" | "left" | "image-wanted" }>({
    name: "save-lookups",
    text: saveSql,
    values: [JSON.stringify(records.map((record) => toRow(record, keepsImages))), keepsImages],
  });
  const toIds = (what: string) => new Set(rows.flatMap((row) => (row.what === what ? [row.id] : [])));
  return { setAside: toIds("aside"), left: toIds("left"), imageWanted: toIds("image-wanted") };
}

/** The outcome for records that were put aside. */
export interface AppliedLookups {
  readonly records: number;
  /** Records that Postgres never takes: their contacts are due again. */
  readonly refused: readonly { readonly contactId: number; readonly error: unknown }[];
}

/**
 * Writes what was put aside and whose contacts are free again; for any process, every second or so. Without such records it costs
 * a look into an empty table.
 * @param isTransient knows the errors after which the same is to be tried again
 */
export async function applyLookupsAside(
  pool: pg.Pool,
  keepsImages: boolean,
  isTransient: (error: unknown) => boolean,
): Promise<AppliedLookups> {
  let records = 0;
  try {
    for (let applied = appliedAtOnce; applied === appliedAtOnce; records += applied) {
      applied = await apply(pool, null, keepsImages);
    }
    return { records, refused: [] };
  } catch (error) {
    if (isTransient(error)) throw error;
    return applySingly(pool, keepsImages, isTransient, records);
  }
}

async function apply(pool: pg.Pool, contactId: number | null, keepsImages: boolean): Promise<number> {
  const { rows } = await pool.query<{ records: number }>({
    name: "apply-lookups-aside",
    text: applySql,
    values: [contactId, keepsImages],
  });
  return rows[0]?.records ?? 0;
}

/** A record that Postgres refuses must not keep back the others, nor keep its contact from being asked again. */
async function applySingly(
  pool: pg.Pool,
  keepsImages: boolean,
  isTransient: (error: unknown) => boolean,
  before: number,
): Promise<AppliedLookups> {
  let records = before;
  const refused: { contactId: number; error: unknown }[] = [];
  const { rows } = await pool.query<{ id: number }>(listSql);
  for (const { id: contactId } of rows) {
    try {
      records += await apply(pool, contactId, keepsImages);
    } catch (error) {
      if (isTransient(error)) throw error;
      await pool.query("delete from avatars.lookups_aside where contact_id = $1", [contactId]);
      refused.push({ contactId, error });
    }
  }
  return { records, refused };
}

function toRow({ contactId, runId, askedAtMs, decision, refresh }: LookupRecord, keepsImages: boolean) {
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
        // A `data:` URI is the image itself, which is kept elsewhere.
        url:
          avatar.url && !(keepsImages && avatar.url === avatar.base64)
            ? toStorableText(avatar.url)
            : undefined,
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
