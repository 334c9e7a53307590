import type pg from "pg";
import { isThereSql, isWaitedForSql } from "../batches/batch-sql.ts";
import type { Removal, RemoveSome } from "./remove-in-steps.ts";
import { lockNumberSql } from "../accept/request-locks.ts";

const batchesAtOnce = 1_000;
const membersAtOnce = 5_000;

/** Batches whose removal has begun, in this process or another. */
const pickBegunSql = `
select b.id, b.accepted, b.finished_at::text from avatars.batches b
where b.removing_at is not null and b.id <> all ($1::uuid[])
order by b.removing_at limit ${batchesAtOnce}`;

/** Batches that have been over for long enough, by when they were over. */
const pickOldSql = `
select b.id, b.accepted, b.finished_at::text from avatars.batches b
where b.finished_at >= $1::timestamptz and b.finished_at < now() - $2::float8 * interval '1 ms' and b.id <> all ($3::uuid[])
  and ${isThereSql}
order by b.finished_at limit ${batchesAtOnce}`;

interface PickedBatch {
  readonly id: string;
  readonly accepted: number;
  readonly finished_at: string;
}

/** Another transaction that has a batch locked is about to retry it, or to remove it with its instance. */
const lockSql = `
select id from avatars.batches where id = any ($1::uuid[])
  and (removing_at is not null or finished_at < now() - $2::float8 * interval '1 ms')
for update skip locked`;

/**
 * The next members of batches, in their order; of the first one those behind a contact. A transaction that has a member
 * locked erases its contact.
 */
const removeMembersSql = `
with looked as materialized (
  select b.n, m.batch_id, m.contact_id
  from unnest($1::uuid[]) with ordinality as b (id, n)
  cross join lateral (
    select m.batch_id, m.contact_id from avatars.batch_members m
    where m.batch_id = b.id and m.contact_id > case when b.n = 1 then $2::bigint else 0 end
    order by m.contact_id limit ${membersAtOnce}
  ) m
  limit ${membersAtOnce}
), locked as materialized (
  select m.ctid from looked l
  cross join lateral (
    select m.ctid from avatars.batch_members m where m.batch_id = l.batch_id and m.contact_id = l.contact_id
    for update skip locked
  ) m
), removed as (
  delete from avatars.batch_members where ctid = any (array(select ctid from locked)) returning 1
), reached as (
  select max(n) as n from looked having count(*) = ${membersAtOnce}
)
select (select count(*) from removed)::int as removed, (select n from reached)::int as unread,
  (select max(contact_id) from looked where n = (select n from reached)) as last`;

interface RemovedMembers {
  readonly removed: number;
  /** The batch that may have more members, behind the contact `last`: 1 is the first. Null: all were read to their end. */
  readonly unread: number | null;
  readonly last: string | null;
}

/**
 * Removes batches that have no member left, whatever was thought of them. Each is probed for, since a join may read all
 * members.
 */
const removeBatchesSql = `
delete from avatars.batches b
where b.id = any ($1::uuid[]) and (select true from avatars.batch_members m where m.batch_id = b.id limit 1) is null
returning b.id`;

const markSql = `
update avatars.batches set removing_at = now() where id = any ($1::uuid[]) and removing_at is null`;

/** The oldest batch of some instance whose input never came to its end, and whether it waits for a contact. */
const pickIncompleteSql = `
select b.id, b.last_turn, b.accepted, exists (
    select from avatars.batch_members m
    cross join lateral (select ${isWaitedForSql} as waits from avatars.contacts c where c.id = m.contact_id limit 1) c
    where m.batch_id = b.id and c.waits
  ) as waits
from (
  select b.* from avatars.instances i
  cross join lateral (
    select * from avatars.batches b
    where b.instance_id = i.id and b.finished_at is null and b.cancelled_at is null and b.completed_intake_at is null
      and b.requested_at < now() - $1::float8 * interval '1 ms' and b.id <> all ($2::uuid[])
    order by b.requested_at, b.id limit 1
  ) b
  limit 1
) b`;

interface IncompleteBatch {
  readonly id: string;
  readonly last_turn: string;
  readonly accepted: number;
  readonly waits: boolean;
}

const tryLockSql = `select pg_try_advisory_xact_lock(${lockNumberSql}) as locked`;

/**
 * Ends a batch that was never complete. No contact is added from here on: a writer finds the input ended, at the latest. A
 * retry since the look at the batch has moved its last turn. Contacts that have come have been counted.
 */
const markIncompleteSql = `
with abandoned as materialized (
  select id from avatars.batches
  where id = $1 and last_turn = $2 and accepted = $3
    and finished_at is null and cancelled_at is null and completed_intake_at is null
  for no key update skip locked
)
update avatars.batches b set removing_at = now(), finished_at = now(), completed_intake_at = now()
from abandoned a where b.id = a.id`;

/**
 * Makes the step that removes the batches that have been over for so long, with their members. Contacts stay as they are.
 * Small batches go as a whole, many in one transaction. Of a large one each transaction removes a part. From the first part
 * on it is marked (`removing_at`): no reader sees the rest, and no retry begins it anew. The next process goes on with marked
 * ones.
 *
 * A batch whose input never came to its end is never over. It goes so long after its request, unless it waits for a contact
 * or a stream writes to it.
 *
 * Goes upward by when the batches were over. It goes on behind what it has looked at, since the index may still be full of
 * what is gone. Locked batches are left until it begins anew.
 */
export function createBatchRemover(keepMs: number): RemoveSome {
  const progress: Progress = { from: begin, skipped: new Set(), current: undefined };
  return async (client) => removeSome(client, keepMs, progress);
}

/**
 * How far a remover has come, from one step to the next. A step that fails may have changed it. Its batches are passed over
 * then, and come again when the remover begins anew.
 */
interface Progress {
  /** The moment from which batches that were over are looked at. */
  from: string;
  /** Batches that were looked at and are still there, until the remover begins anew. */
  readonly skipped: Set<string>;
  /** A large batch, and its contact up to which the members are gone. */
  current: { readonly id: string; readonly after: string } | undefined;
}

const begin = "-infinity";

async function removeSome(client: pg.PoolClient, keepMs: number, progress: Progress): Promise<Removal> {
  const ids = await choose(client, keepMs, progress);
  if (ids.length > 0) return remove(client, keepMs, progress, ids);
  if (await markIncomplete(client, keepMs, progress)) return { removed: {}, isMore: true };
  progress.from = begin;
  progress.skipped.clear();
  return { removed: {}, isMore: false };
}

async function choose(client: pg.PoolClient, keepMs: number, progress: Progress): Promise<readonly string[]> {
  const { current, from, skipped } = progress;
  if (current) return [current.id];
  const { rows: begun } = await client.query<PickedBatch>(pickBegunSql, [[...skipped]]);
  if (begun.length > 0) return takeSome(begun).map(({ id }) => id);
  const { rows: old } = await client.query<PickedBatch>(pickOldSql, [from, keepMs, [...skipped]]);
  const chosen = takeSome(old);
  progress.from = chosen.at(-1)?.finished_at ?? from;
  return chosen.map(({ id }) => id);
}

async function remove(
  client: pg.PoolClient,
  keepMs: number,
  progress: Progress,
  ids: readonly string[],
): Promise<Removal> {
  const after = progress.current?.after ?? "0";
  progress.current = undefined;
  const ours = await lock(client, keepMs, ids);
  const { rows } = await client.query<RemovedMembers>(removeMembersSql, [ours, after]);
  const { removed: members = 0, unread = null, last = null } = rows[0] ?? {};
  const read = unread === null ? ours : ours.slice(0, unread - 1);
  const { rows: gone } = await client.query<{ id: string }>(removeBatchesSql, [read]);
  if (gone.length < ours.length) await client.query(markSql, [ours]);
  const goneIds = new Set(gone.map(({ id }) => id));
  for (const id of ids) if (!goneIds.has(id)) progress.skipped.add(id);
  const next = unread === null ? undefined : ours[unread - 1];
  if (next !== undefined) progress.current = { id: next, after: last ?? after };
  return { removed: { batches: gone.length, members }, isMore: true };
}

async function lock(
  client: pg.PoolClient,
  keepMs: number,
  ids: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{ id: string }>(lockSql, [ids, keepMs]);
  const locked = new Set(rows.map(({ id }) => id));
  return ids.filter((id) => locked.has(id));
}

/** Marks the next batch that never was complete, if it may go. False: there is none to look at. */
async function markIncomplete(client: pg.PoolClient, keepMs: number, progress: Progress): Promise<boolean> {
  const { skipped } = progress;
  const { rows } = await client.query<IncompleteBatch>(pickIncompleteSql, [keepMs, [...skipped]]);
  const batch = rows[0];
  if (batch === undefined) return false;
  skipped.add(batch.id);
  if (batch.waits) return true;
  // A stream that writes to the batch holds this lock (receive-stream.ts).
  const { rows: locks } = await client.query<{ locked: boolean }>(tryLockSql, [`batch:${batch.id}`]);
  if (!locks[0]?.locked) return true;
  const { rowCount } = await client.query(markIncompleteSql, [batch.id, batch.last_turn, batch.accepted]);
  if (rowCount) progress.current = { id: batch.id, after: "0" };
  return true;
}

/** The first batch, and the next ones as long as all their members together are removed at once. */
function takeSome(batches: readonly PickedBatch[]): readonly PickedBatch[] {
  let members = 0;
  const end = batches.findIndex(({ accepted }) => (members += accepted) >= membersAtOnce);
  return end === -1 ? batches : batches.slice(0, Math.max(end, 1));
}
