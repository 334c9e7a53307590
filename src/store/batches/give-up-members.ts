import type pg from "pg";
import { isWaitedForSql } from "./batch-sql.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { lockContacts } from "./lock-contacts.ts";
import { pickMembers } from "./pick-members.ts";
import { patiently, retryTransient, type RetryLimits } from "../postgres/retry-transient.ts";

const viewSql = `select settled_through, accepted from avatars.batches
  where id = $1 and cancelled_at is not null and finished_at is null`;

/**
 * Locks the batch as it was seen; no row: it has changed. So no member that was accepted meanwhile is missed:
 * `avatars.accept` locks the contacts first, and then the batch.
 */
const lockSql = `${viewSql} and settled_through = $2 and accepted = $3 for no key update`;

/** A probe for one contact takes as long as reading so many members in a row, about. */
const sparseFrom = 10;

/**
 * Gives up contacts that the batch waits for. Each becomes this:
 *
 * | column                                  | no other batch waits for it      | others wait for it                                |
 * | --------------------------------------- | -------------------------------- | ------------------------------------------------- |
 * | `wanted_at`, `fresh_after`              | null                             | the earliest, and the latest, of the others       |
 * | `due_at`, `resync_run_id`, a mark       | null                             | as it was                                         |
 * | `priority`                              | as it was                        | the most urgent of the others                     |
 * | `turn`                                  | null                             | as it was; with another priority behind their last |
 * | `attempts`                              | 0                                | as it was                                         |
 * | `refresh_at`                            | as it was; where it is null, now | as it was                                         |
 *
 * - Without others it is not due: of a call in flight only a clear answer is saved. A `fresh_after` that stayed would have an
 *   answer from before it ask once more, for no batch.
 * - A contact that was never asked has no `refresh_at`, and the next resync must find it. Invalid ones, and those that the
 *   source query lists no more, stay without.
 * - With others the contact is as if only they had asked. A turn counts within one priority, so a less urgent one needs another.
 *
 * Other batches are each read through within the range of the contacts' ids, once in all steps together. Where that range
 * holds far more members than there are contacts, each contact is probed for instead.
 *
 * The number of contacts in common cannot be estimated: nothing here is joined but through the key of a contact. A join of
 * `waiting` and `wishes` would become a loop in a loop, 20 s for 10,000 contacts. `is true` keeps each look a hash.
 */
const giveUpSql = `
with waiting as materialized (
  select c.id from avatars.contacts c join avatars.batches b on b.id = $1
  where c.id = any ($2::bigint[]) and ${isWaitedForSql}
), range as materialized (
  select min(id) as first, max(id) as last, count(*) as contacts, array_agg(id) as ids from waiting
), others as (
  select m.contact_id as id, b.requested_at, b.fresh_after, b.priority, b.last_turn
  from avatars.batches b
  cross join range r
  cross join lateral (
    select least(r.last - r.first, b.accepted) > ${sparseFrom} * r.contacts as is_sparse offset 0
  ) s
  cross join lateral (
    (select m.contact_id from avatars.batch_members m
    where not s.is_sparse and m.batch_id = b.id and m.contact_id > b.settled_through
      and m.contact_id between r.first and r.last and (m.contact_id in (select id from waiting)) is true
    offset 0)
    union all
    (select m.contact_id from avatars.batch_members m
    where s.is_sparse and m.batch_id = b.id and m.contact_id > b.settled_through and m.contact_id = any (r.ids)
    offset 0)
  ) m
  cross join lateral (select ${isWaitedForSql} as waits from avatars.contacts c where c.id = m.contact_id limit 1) c
  where b.instance_id = (select instance_id from avatars.batches where id = $1)
    and b.finished_at is null and b.cancelled_at is null and c.waits
), wishes as materialized (
  select id, min(requested_at) as wanted_at, max(fresh_after) as fresh_after, min(priority) as priority,
    (array_agg(last_turn order by priority, last_turn))[1] as last_turn
  from others group by id
), left_to_others as (
  update avatars.contacts c
  set wanted_at = w.wanted_at, fresh_after = w.fresh_after, priority = w.priority,
    turn = case when c.turn is null or w.priority = c.priority then c.turn else w.last_turn end
  from wishes w
  where c.id = w.id
  returning c.instance_id
), arrived as (
  -- They are more urgent now, or less: the holder of the lease looks at all anew.
  insert into avatars.arrivals (instance_id) select distinct instance_id from left_to_others
), given_up as (
  update avatars.contacts c
  set wanted_at = null, fresh_after = null, due_at = null, resync_run_id = null, in_flight_epoch = null, in_flight_until = null,
    turn = null, attempts = 0,
    refresh_at = coalesce(c.refresh_at,
      case when c.status <> 'invalid' and c.is_listed is not false then clock_timestamp() end)
  -- The ids are an array: a join would have the planner, which cannot know their number, read the whole table.
  where c.id = any (array(select id from waiting where (id in (select id from wishes)) is not true))
  returning 1
)
select count(*)::int as given_up from given_up`;

const moveSql = `
update avatars.batches set settled_through = $2, finished_at = case when $3 then clock_timestamp() end where id = $1`;

/** The work of one transaction. */
interface Step {
  readonly givenUp: number;
  readonly isLast: boolean;
}

/**
 * Gives up all members of a cancelled batch that still wait, in steps that commit. Goes on where another process has stopped.
 * Returns how many contacts no batch waits for any more.
 * @param options.mostSteps so many transactions at most, of up to 10,000 contacts each
 * @throws LockedError where another transaction holds one of the contacts for long
 */
export async function giveUpMembers(
  pool: pg.Pool,
  batchId: string,
  {
    mostSteps = Infinity,
    limits = patiently,
  }: { readonly mostSteps?: number; readonly limits?: RetryLimits } = {},
): Promise<number> {
  let givenUp = 0;
  for (let steps = 0; steps < mostSteps; steps += 1) {
    const step = await retryTransient(limits, async () =>
      inTransaction(pool, async (client) => giveUpSome(client, batchId)),
    );
    if (step === "over") return givenUp;
    if (step === "changed") continue;
    givenUp += step.givenUp;
    if (step.isLast) break;
  }
  return givenUp;
}

async function giveUpSome(client: pg.PoolClient, batchId: string): Promise<Step | "over" | "changed"> {
  const { rows: views } = await client.query<{ settled_through: string; accepted: number }>(viewSql, [
    batchId,
  ]);
  const view = views[0];
  if (view === undefined) return "over";
  const { contactIds, through, isLast } = await pickMembers(
    client,
    batchId,
    isWaitedForSql,
    view.settled_through,
  );
  await lockContacts(client, contactIds);
  const { rowCount } = await client.query(lockSql, [batchId, view.settled_through, view.accepted]);
  if (!rowCount) return "changed";
  const { rows } = await client.query<{ given_up: number }>(giveUpSql, [batchId, contactIds]);
  await client.query(moveSql, [batchId, through, isLast]);
  return { givenUp: rows[0]?.given_up ?? 0, isLast };
}
