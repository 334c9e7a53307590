import type pg from "pg";
import { isWaitedForSql } from "./batch-sql.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { lockContacts } from "./lock-contacts.ts";
import { pickMembers } from "./pick-members.ts";
import { patiently, retryTransient, type RetryLimits } from "../postgres/retry-transient.ts";

const viewSql = `select settled_through, accepted from avatars.batches
  where id = $1 and cancelled_at is not null and finished_at is null`;

/** Not a member of the batch until then: whoever accepts locks first the contacts, and then the batch. */
const lockSql = `${viewSql} and settled_through = $2 and accepted = $3 for no key update`;

/** To probe for a contact takes as long as to read so many members in a row, about. */
const sparseFrom = 10;

/**
 * Contacts that are locked, and for which the batch waits: for whom do others wait? Each of those batches is read through within
 * the range of ids, once in all steps together; where that is far more than there are contacts, it is probed for each of them.
 *
 * - Whom nobody waits for rests, without claim: what a call in flight learns is saved if it is a clear answer, and nothing else.
 *   A moment after which answers are fresh enough would have such an answer ask once more, for nobody. One that was never asked
 *   is for the next resync: there is no contact that nothing moves on.
 * - Whom others wait for is as if only they had asked. Its turn was of this batch's priority: where theirs is less urgent it
 *   goes behind their last one. A claim is theirs now.
 *
 * How many contacts there are in common cannot be estimated: so nothing here is joined but through the key of a contact. A join
 * of `waiting` with what others want would become a loop in a loop, 20 s for 10,000 contacts; `is true` keeps the look into
 * `waiting` a hash.
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
  from (select id, null::timestamptz as requested_at, null::timestamptz as fresh_after, null::smallint as priority,
    null::bigint as last_turn from waiting union all select * from others) w
  group by id
), given_up as (
  update avatars.contacts c
  set wanted_at = w.wanted_at, fresh_after = w.fresh_after,
    due_at = case when w.wanted_at is not null then c.due_at end,
    priority = coalesce(w.priority, c.priority),
    turn = case when w.wanted_at is null or c.turn is null then null
      when w.priority = c.priority then c.turn else w.last_turn end,
    attempts = case when w.wanted_at is null then 0 else c.attempts end,
    claimed_by = case when w.wanted_at is not null then c.claimed_by end,
    claimed_until = case when w.wanted_at is not null then c.claimed_until end,
    resync_run_id = case when w.wanted_at is not null then c.resync_run_id end,
    refresh_at = case when w.wanted_at is not null or c.refresh_at is not null then c.refresh_at
      when c.status <> 'invalid' and c.is_listed is not false then clock_timestamp() end
  from wishes w
  where c.id = w.id
  returning c.wanted_at
)
select count(*) filter (where wanted_at is null)::int as given_up from given_up`;

const moveSql = `
update avatars.batches set settled_through = $2, finished_at = case when $3 then clock_timestamp() end where id = $1`;

/** What one transaction has done. */
interface Step {
  readonly givenUp: number;
  readonly isLast: boolean;
}

/**
 * Gives up all members of a cancelled batch that still wait, in steps that commit; goes on where another process has stopped.
 * Returns how many contacts nobody waits for any more.
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
