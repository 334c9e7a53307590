import type pg from "pg";
import { isWaitedForSql } from "./batch-sql.ts";
import { isTransient } from "../postgres/database.ts";
import { giveUpMembers } from "./give-up-members.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { once } from "../postgres/retry-transient.ts";

/**
 * Moves the watermark of locked batches on: to the first member that is waited for, or by so many members. Batches where no
 * member is left are finished. The statement must come after the one that locks. With an older snapshot it would miss a retry
 * that was just committed.
 */
const settleSql = `
with looked as materialized (
  select b.id, b.settled_through, w.contact_id as waiting
  from avatars.batches b
  left join lateral (
    select m.contact_id
    from (
      select m.contact_id from avatars.batch_members m
      where m.batch_id = b.id and m.contact_id > b.settled_through
      order by m.contact_id limit $2::int
    ) m
    cross join lateral (
      select ${isWaitedForSql} as waits from avatars.contacts c where c.id = m.contact_id limit 1
    ) c
    where c.waits
    order by m.contact_id limit 1
  ) w on true
  where b.id = any ($1::uuid[])
), steps as materialized (
  select l.id, l.settled_through, coalesce(l.waiting - 1, e.last, l.settled_through) as through,
    l.waiting is null and e.members < $2::int as is_end
  from looked l
  left join lateral (
    select count(*) as members, max(m.contact_id) as last from (
      select m.contact_id from avatars.batch_members m
      where l.waiting is null and m.batch_id = l.id and m.contact_id > l.settled_through
      order by m.contact_id limit $2::int
    ) m
  ) e on true
), moved as (
  update avatars.batches b
  set settled_through = s.through, finished_at = case when s.is_end then clock_timestamp() end
  from steps s
  where b.id = s.id and (s.is_end or s.through > s.settled_through)
  returning b.id, b.finished_at
)
select s.id, s.waiting, m.finished_at
from (select id, waiting from looked) s left join moved m on m.id = s.id`;

interface SettledRow {
  readonly id: string;
  readonly waiting: string | null;
  readonly finished_at: Date | null;
}

const isFinishableSql = `b.finished_at is null and b.completed_intake_at is not null and b.cancelled_at is null`;

/** A page of open batches, and whether the first contact behind the watermark is waited for: a guess, without locks. */
const pageSql = `
select b.id, b.instance_id, b.requested_at::text, coalesce((
    select (select ${isWaitedForSql} from avatars.contacts c where c.id = m.contact_id)
    from avatars.batch_members m where m.batch_id = b.id and m.contact_id > b.settled_through
    order by m.contact_id limit 1
  ), false) as waits
from avatars.batches b
where ${isFinishableSql}
  and ($1::text is null or (b.instance_id, b.requested_at, b.id) > ($1, $2::timestamptz, $3::uuid))
order by b.instance_id, b.requested_at, b.id limit $4`;

interface PageRow {
  readonly id: string;
  readonly instance_id: string;
  readonly requested_at: string;
  readonly waits: boolean;
}

/** Another process that has locked one is at work on it. */
const lockSomeSql = `
select b.id from avatars.batches b where b.id = any ($1::uuid[]) and ${isFinishableSql}
for no key update skip locked`;

const lockOneSql = `select b.id from avatars.batches b where b.id = $1 and ${isFinishableSql} for no key update`;

/** Cancelled batches whose contacts a process has begun to give up, and has not finished for a while. */
const abandonedSql = `
select b.id from avatars.batches b
where b.finished_at is null and b.cancelled_at < clock_timestamp() - interval '10 seconds' and b.id <> all ($1::uuid[])
order by b.cancelled_at limit 5`;

const pageSize = 1_000;
const batchesAtOnce = 100;
const membersAtOnce = 20_000;
/** The time of one call. With a call every 5 s it is a quarter of one connection, while much is to be finished. */
const budgetMs = 1_500;

/**
 * Makes the step that finishes batches whose contacts are not waited for any more. It also goes on with cancellations that
 * were interrupted. To be called every few seconds. Each call looks once at all open batches, a thousand with each statement
 * (10 ms). It goes through the members of those that are further than their watermark: by turns, about 20,000 in one
 * transaction. Each member is seen once as long as it rests, a million of them in some 4 s. After 1.5 s the call ends, and
 * the next one goes on from there. Several processes may do so at once. Returns the ids of those that it has finished.
 * @param options.now a monotonic clock, ms
 */
export function createBatchFinisher(
  pool: pg.Pool,
  { now = () => performance.now() }: { readonly now?: () => number } = {},
): () => Promise<string[]> {
  let last: PageRow | undefined;
  /** Batches that are further than their watermark, as far as is known. A batch that has had its turn is the last of them. */
  const movable = new Set<string>();
  /** Cancelled batches that were tried, and one of whose contacts another transaction holds. */
  const held = new Set<string>();

  async function readPage(): Promise<void> {
    const values = [last?.instance_id, last?.requested_at, last?.id, pageSize];
    const { rows } = await pool.query<PageRow>(pageSql, values);
    for (const { id, waits } of rows) if (!waits) movable.add(id);
    last = rows.length < pageSize ? undefined : rows.at(-1);
  }

  async function settleNext(): Promise<string[]> {
    const ids = [...movable].slice(0, batchesAtOnce);
    if (ids.length === 0) return [];
    for (const id of ids) movable.delete(id);
    const settled = await settleSome(pool, ids);
    for (const { id, waiting, finished_at } of settled) {
      if (waiting === null && finished_at === null) movable.add(id);
    }
    return settled.filter(({ finished_at }) => finished_at !== null).map(({ id }) => id);
  }

  async function giveUpAbandoned(): Promise<void> {
    const { rows: abandoned } = await pool.query<{ id: string }>(abandonedSql, [[...held]]);
    // Held batches come again when all others have had their turn.
    if (abandoned.length === 0) held.clear();
    for (const { id } of abandoned) {
      try {
        await giveUpMembers(pool, id, { mostSteps: 1, limits: once });
      } catch (error) {
        if (!isTransient(error)) throw error;
        held.add(id);
      }
    }
  }

  return async () => {
    const finished: string[] = [];
    const startedAt = now();
    let haveSeenAll = false;
    do {
      if (!haveSeenAll && movable.size < pageSize) {
        await readPage();
        haveSeenAll = last === undefined;
      }
      finished.push(...(await settleNext()));
    } while ((!haveSeenAll || movable.size > 0) && now() - startedAt < budgetMs);
    await giveUpAbandoned();
    return finished;
  };
}

async function settleSome(pool: pg.Pool, batchIds: readonly string[]): Promise<SettledRow[]> {
  return inTransaction(pool, async (client) => {
    const { rows: locked } = await client.query<{ id: string }>(lockSomeSql, [batchIds]);
    if (locked.length === 0) return [];
    const ids = locked.map(({ id }) => id);
    const { rows } = await client.query<SettledRow>(settleSql, [ids, Math.floor(membersAtOnce / ids.length)]);
    return rows;
  });
}

/**
 * Finishes one batch if none of its contacts is waited for. Goes on from its watermark to the first that is. Returns when it
 * was finished; undefined: it is not, or it is cancelled, or there is none.
 */
export async function finishBatch(pool: pg.Pool, batchId: string): Promise<Date | undefined> {
  for (;;) {
    const step = await inTransaction(pool, async (client) => {
      const { rowCount } = await client.query(lockOneSql, [batchId]);
      if (!rowCount) return undefined;
      const { rows } = await client.query<SettledRow>(settleSql, [[batchId], membersAtOnce]);
      return rows[0];
    });
    if (step === undefined) return findFinished(pool, batchId);
    if (step.finished_at !== null || step.waiting !== null) return step.finished_at ?? undefined;
  }
}

/** Another process was quicker, perhaps. */
async function findFinished(pool: pg.Pool, batchId: string): Promise<Date | undefined> {
  const { rows } = await pool.query<{ finished_at: Date | null }>(
    "select finished_at from avatars.batches where id = $1 and cancelled_at is null",
    [batchId],
  );
  return rows[0]?.finished_at ?? undefined;
}
