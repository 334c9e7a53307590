import type pg from "pg";
import type { Actor } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { isPendingSql, isThereSql, isWaitedForSql } from "./batch-sql.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { lockContacts } from "./lock-contacts.ts";
import { pickMembers } from "./pick-members.ts";
import { patiently, retryTransient } from "../postgres/retry-transient.ts";
import { isUuid } from "../../lib/uuid.ts";

const isUnansweredSql = `not avatars.is_fresh(c, b.fresh_after)`;
const isRetryableSql = `not ${isPendingSql} and ${isUnansweredSql}`;

const viewSql = `select b.finished_at is not null or b.cancelled_at is not null as is_over from avatars.batches b
  where b.id = $1 and ${isThereSql}`;

/**
 * Has the batch begin anew, with a turn for each of the contacts.
 * @param $3 it was cancelled while the retry was at work: that is the last word
 */
const reopenSql = `
with before as materialized (
  select b.id, b.finished_at is not null or b.cancelled_at is not null as is_over,
    greatest(b.last_turn, (select i.turns[b.priority + 1] from avatars.instances i where i.id = b.instance_id)) as last_turn
  from avatars.batches b where b.id = $1 and ${isThereSql} and not ($3 and b.cancelled_at is not null)
  for no key update
)
update avatars.batches b
set finished_at = null, cancelled_at = null, settled_through = 0, last_turn = o.last_turn + $2
from before o where b.id = o.id
returning o.is_over, o.last_turn, b.instance_id`;

/**
 * Has locked contacts asked as if for the first time. A call in flight for another batch may fail, which must not end the
 * retry. So a mark of a call in flight that has spent attempts is not honoured any more; its clear answer is. A contact that others wait for
 * keeps a more urgent priority, and an earlier turn.
 */
const askSql = `
with asked as materialized (
  select c.id, $3::bigint + row_number() over (order by c.id) as turn
  from avatars.contacts c join avatars.batches b on b.id = $1
  where c.id = any ($2::bigint[]) and not avatars.is_fresh(c, b.fresh_after)
    and ($4 or not coalesce(${isWaitedForSql}, false))
)
update avatars.contacts c
set priority = case when c.wanted_at is null then b.priority else least(c.priority, b.priority) end,
  turn = case when c.wanted_at is null or c.priority > b.priority then a.turn
    when c.turn is not null and c.priority = b.priority then least(c.turn, a.turn)
    else c.turn end,
  due_at = least(c.due_at, clock_timestamp()),
  in_flight_epoch = case when c.attempts = 0 then c.in_flight_epoch end,
  in_flight_until = case when c.attempts = 0 then c.in_flight_until end,
  attempts = 0,
  wanted_at = least(c.wanted_at, b.requested_at),
  fresh_after = case when c.wanted_at is null then b.fresh_after else greatest(c.fresh_after, b.fresh_after) end
from asked a join avatars.batches b on b.id = $1
where c.id = a.id`;

/** They are in any queue now: the holder of the lease looks at all anew. */
const arriveSql =
  "insert into avatars.arrivals (instance_id) select instance_id from avatars.batches where id = $1";

/** How far a retry has come. */
interface Progress {
  /** The contact up to which all members were looked at. */
  readonly after: string;
  readonly isReopened: boolean;
  /**
   * True: the batch was done or cancelled when the retry began, or was seen so since. From the first step on it is open. It
   * would then seem to wait for all that an older batch waits for. So those are asked for in its name, too.
   */
  readonly wasOver: boolean;
  readonly asked: number;
}

/**
 * Asks again, in the same batch, for all contacts without a fresh clear answer that it does not wait for. It does so in steps
 * that commit. A batch that was done or cancelled goes on. An incomplete one has those asked again that it has. Without such
 * contacts nothing changes. Returns how many were asked.
 * @param by undefined: the product itself
 */
export async function retryBatch(pool: pg.Pool, batchId: string, by?: Actor): Promise<number> {
  if (!isUuid(batchId)) return 0;
  const view = await retryTransient(patiently, async () =>
    pool.query<{ is_over: boolean }>(viewSql, [batchId]),
  );
  const wasOver = view.rows[0]?.is_over;
  if (wasOver === undefined) return 0;
  let progress: Progress = { after: "0", isReopened: false, wasOver, asked: 0 };
  for (;;) {
    const before = progress;
    const step = await retryTransient(patiently, async () =>
      inTransaction(pool, async (client) => askSome(client, batchId, before, by)),
    );
    progress = step.progress;
    if (step.isLast) return progress.asked;
  }
}

interface Reopened {
  readonly is_over: boolean;
  readonly last_turn: string;
  readonly instance_id: InstanceId;
}

async function askSome(client: pg.PoolClient, batchId: string, before: Progress, by: Actor | undefined) {
  const which = before.wasOver ? isUnansweredSql : isRetryableSql;
  const { contactIds, through, isLast } = await pickMembers(client, batchId, which, before.after);
  const progress = { ...before, after: through };
  if (contactIds.length === 0) return { progress, isLast };
  await lockContacts(client, contactIds);
  const { rows } = await client.query<Reopened>(reopenSql, [batchId, contactIds.length, before.isReopened]);
  const batch = rows[0];
  if (batch === undefined) return { progress, isLast: true };
  if (!before.isReopened)
    await recordAudit(client, by, {
      action: "batch.retried",
      subjectId: batchId,
      instanceId: batch.instance_id,
    });
  const wasOver = before.wasOver || batch.is_over;
  const { rowCount } = await client.query(askSql, [batchId, contactIds, batch.last_turn, wasOver]);
  await client.query(arriveSql, [batchId]);
  const asked = before.asked + (rowCount ?? 0);
  return { progress: { ...progress, isReopened: true, wasOver, asked }, isLast };
}
