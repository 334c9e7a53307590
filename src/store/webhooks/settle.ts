import type pg from "pg";
import type { Settlement } from "../../domain/webhooks/settlement.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { toDeliveryCells, toInsertDeliveriesSql } from "./delivery-store.ts";

/** Moves endpoints whose lease is still that of the tries. */
const moveSql = `
update avatars.webhook_endpoints e set
  cursor = g.cursor, failing_since = g.failing_since, last_success_at = coalesce(g.last_success_at, e.last_success_at),
  head_tries = g.head_tries, head_next_at = g.head_next_at,
  state = case when g.disable is null then e.state else 'disabled' end,
  disabled_reason = coalesce(g.disable, e.disabled_reason),
  disabled_at = case when g.disable is null then e.disabled_at else clock_timestamp() end,
  lease_owner = case when g.disable is null then e.lease_owner end,
  leased_until = case when g.disable is null then e.leased_until end
from json_to_recordset($1::json) as g (id text, epoch bigint, cursor bigint, failing_since timestamptz,
  last_success_at timestamptz, head_tries smallint, head_next_at timestamptz, disable text)
where e.id = g.id and e.lease_epoch = g.epoch and e.lease_owner = $2 and e.state = 'active'
returning e.id`;

/** Of one contact the newest event is kept. What is older, and waits for another try, is out of date. */
const failedSql = `
insert into avatars.webhook_retries (endpoint_id, feed_id, contact_id, tries, next_try_at)
select f.endpoint_id, f.feed_id, f.contact_id, 1, f.next_try_at
from json_to_recordset($1::json) as f (endpoint_id text, feed_id bigint, contact_id bigint, next_try_at timestamptz)
where (f.contact_id is not null) = $2
  and (f.contact_id is null or exists (select from avatars.contacts c where c.id = f.contact_id))
order by f.feed_id`;
const failedOfContactsSql = `${failedSql}
on conflict (endpoint_id, contact_id) where contact_id is not null do update
set feed_id = excluded.feed_id, tries = 1, next_try_at = excluded.next_try_at
where webhook_retries.feed_id <= excluded.feed_id`;
const failedOfOthersSql = `${failedSql}
on conflict (endpoint_id, feed_id) where contact_id is null do nothing`;

// Retries are found one by one, by their keys: a join might read all of them. `for update` looks again at a row that another
// process has changed meanwhile.
const takenSql = `
delete from avatars.webhook_retries where id = any (array(
  select r.id from json_to_recordset($1::json) as t (endpoint_id text, contact_id bigint, feed_id bigint)
  cross join lateral (
    select r.id from avatars.webhook_retries r
    where r.endpoint_id = t.endpoint_id and r.contact_id = t.contact_id and r.feed_id <= t.feed_id for update
  ) r))`;

const toOwnSql = (condition: string) => `array(
  select r.id from given g
  cross join lateral (
    select r.id from avatars.webhook_retries r where r.id = g.id and r.feed_id = g.feed_id for update
  ) r
  where ${condition})`;

const retriesSql = `
with given as materialized (
  select * from json_to_recordset($1::json) as t (id bigint, feed_id bigint, next_try_at timestamptz)
), gone as (
  delete from avatars.webhook_retries r where r.id = any (${toOwnSql("g.next_try_at is null")})
)
update avatars.webhook_retries r set tries = r.tries + 1,
  next_try_at = (select g.next_try_at from given g where g.id = r.id)
where r.id = any (${toOwnSql("g.next_try_at is not null")})`;

const deliveriesSql = toInsertDeliveriesSql("$1::json");

/**
 * Writes what tries have led to, in one transaction. Returns the endpoints that were moved: of all others the lease is gone, and nothing
 * was written but how their retries ended.
 */
export async function settleTries(
  pool: pg.Pool,
  owner: string,
  settlement: Settlement,
): Promise<ReadonlySet<string>> {
  const { endpoints, retries, deliveries } = settlement;
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string }>(moveSql, [toMoves(endpoints), owner]);
    const moved = new Set(rows.map(({ id }) => id));
    const failed = settlement.failed.filter(({ endpointId }) => moved.has(endpointId));
    const taken = settlement.taken.filter(({ endpointId }) => moved.has(endpointId));
    if (taken.length > 0) await client.query(takenSql, [toTaken(taken)]);
    if (failed.length > 0) {
      await client.query(failedOfContactsSql, [toFailed(failed), true]);
      await client.query(failedOfOthersSql, [toFailed(failed), false]);
    }
    if (retries.length > 0) await client.query(retriesSql, [toRetries(retries)]);
    if (deliveries.length > 0)
      await client.query(deliveriesSql, [JSON.stringify(deliveries.map(toDeliveryCells))]);
    return moved;
  });
}

function toMoves(endpoints: Settlement["endpoints"]): string {
  return JSON.stringify(
    endpoints.map(({ id, epoch, cursor, failingSince, lastSuccessAt, headTries, headNextAt, disable }) => ({
      id,
      epoch,
      cursor,
      failing_since: failingSince,
      last_success_at: lastSuccessAt,
      head_tries: headTries,
      head_next_at: headNextAt,
      disable,
    })),
  );
}

function toFailed(failed: Settlement["failed"]): string {
  return JSON.stringify(
    failed.map(({ endpointId, feedId, contactId, nextTryAt }) => ({
      endpoint_id: endpointId,
      feed_id: feedId,
      contact_id: contactId,
      next_try_at: nextTryAt,
    })),
  );
}

function toTaken(taken: Settlement["taken"]): string {
  return JSON.stringify(
    taken.map(({ endpointId, contactId, feedId }) => ({
      endpoint_id: endpointId,
      contact_id: contactId,
      feed_id: feedId,
    })),
  );
}

function toRetries(retries: Settlement["retries"]): string {
  return JSON.stringify(
    retries.map(({ id, feedId, nextTryAt }) => ({ id, feed_id: feedId, next_try_at: nextTryAt })),
  );
}

/** Deliveries that are kept of each endpoint. */
const keptDeliveries = 200;
/** Events that no endpoint reads any more are kept for so long, for replays. */
const keptEventDays = 30;

/** By the key of each, whatever the server knows of the tables: an anti-join might read all contacts. */
const isOrphan = (table: string) =>
  `${table}.contact_id is not null and (select true from avatars.contacts c where c.id = ${table}.contact_id) is null`;

/**
 * Removes old deliveries, and events. Also what belongs to contacts that are gone: a try that ended while its contact was erased
 * may have been written after it.
 */
const trimSqls = [
  `delete from avatars.webhook_deliveries d
   using avatars.webhook_endpoints e
   where d.endpoint_id = e.id and d.id < (
     select id from avatars.webhook_deliveries k where k.endpoint_id = e.id order by id desc offset ${keptDeliveries} limit 1)`,
  `delete from avatars.webhook_deliveries d where ${isOrphan("d")}`,
  `delete from avatars.webhook_retries r where ${isOrphan("r")}`,
  `delete from avatars.webhook_events v
   where v.at < now() - interval '${keptEventDays} days'
     and v.id <= coalesce((select min(cursor) from avatars.webhook_endpoints where state = 'active'), v.id)`,
];

export async function trimWebhooks(pool: pg.Pool): Promise<void> {
  for (const sql of trimSqls) await pool.query(sql);
}
