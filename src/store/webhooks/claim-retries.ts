import type pg from "pg";
import type { RetryRow } from "../../domain/webhooks/settlement.ts";

/** For so long a retry is this process's: the deadline of a try, and the time until its end is written. */
const claimedMs = 60_000;

/**
 * The oldest due retries of each endpoint, as many as it has room for, and of callbacks. An index serves each endpoint for itself: one
 * with thousands of them delays no other.
 */
const claimSql = `
with due as materialized (
  select r.id from unnest($1::text[], $2::int[]) as e (id, room)
  cross join lateral (
    select r.id from avatars.webhook_retries r
    where r.endpoint_id = e.id and r.next_try_at <= clock_timestamp()
    order by r.next_try_at limit e.room for update skip locked
  ) r
), callbacks as materialized (
  select r.id from avatars.webhook_retries r
  where r.endpoint_id is null and r.next_try_at <= clock_timestamp()
  order by r.next_try_at limit $3 for update skip locked
), claimed as (
  update avatars.webhook_retries r set next_try_at = clock_timestamp() + interval '${claimedMs} ms'
  where r.id = any (array(select id from due union all select id from callbacks))
  returning r.id, r.endpoint_id, r.feed_id, r.contact_id, r.tries
)
select c.*, b.callback_url, b.api_key_id, exists (
  select from avatars.avatar_changes h where h.contact_id = c.contact_id and h.id > c.feed_id) as is_outdated
from claimed c
left join avatars.webhook_events v on v.id = c.feed_id and c.endpoint_id is null
left join avatars.batches b on b.id = v.batch_id`;

interface Row {
  readonly id: string;
  readonly endpoint_id: string | null;
  readonly feed_id: string;
  readonly tries: number;
  readonly callback_url: string | null;
  readonly api_key_id: string | null;
  readonly is_outdated: boolean;
}

/** @param rooms how many of each endpoint */
export async function claimRetries(
  pool: pg.Pool,
  rooms: ReadonlyMap<string, number>,
  callbackRoom: number,
): Promise<RetryRow[]> {
  const values = [[...rooms.keys()], [...rooms.values()], callbackRoom];
  const { rows } = await pool.query<Row>({ name: "webhook-retries", text: claimSql, values });
  return rows.map((row) => ({
    id: Number(row.id),
    endpointId: row.endpoint_id ?? undefined,
    feedId: Number(row.feed_id),
    tries: row.tries,
    isOutdated: row.is_outdated,
    callback:
      row.callback_url === null
        ? undefined
        : { url: row.callback_url, apiKeyId: row.api_key_id ?? undefined },
  }));
}
