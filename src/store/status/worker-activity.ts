import type pg from "pg";
import type { InstanceActivity } from "../../domain/views/instance-activity.ts";

/**
 * Replaces the rows of one process, and clears away those of processes that are gone. Several processes may do so at once:
 * each leaves rows that another has locked.
 */
const sql = `
with gone as (
  delete from avatars.worker_activity a
  using (
    select process_id, instance_id from avatars.worker_activity
    where reported_at < clock_timestamp() - interval '10 minutes'
      or process_id = $1 and instance_id <> all ($2::text[])
    for update skip locked
  ) g
  where a.process_id = g.process_id and a.instance_id = g.instance_id
)
insert into avatars.worker_activity
  (process_id, instance_id, in_flight, calls_per_second, recent_calls, recent_throttled, latency_ms, reported_at)
select $1, u.*, clock_timestamp()
from unnest($2::text[], $3::int[], $4::real[], $5::int[], $6::int[], $7::real[]) as u
on conflict (process_id, instance_id) do update set
  in_flight = excluded.in_flight, calls_per_second = excluded.calls_per_second, recent_calls = excluded.recent_calls,
  recent_throttled = excluded.recent_throttled, latency_ms = excluded.latency_ms, reported_at = excluded.reported_at`;

/** Writes what the process does now, for all its instances: it takes away its rows of others. */
export async function writeActivity(
  pool: pg.Pool,
  processId: string,
  activity: readonly InstanceActivity[],
): Promise<void> {
  await pool.query({
    name: "write-activity",
    text: sql,
    values: [
      processId,
      activity.map(({ instanceId }) => instanceId),
      activity.map(({ inFlight }) => inFlight),
      activity.map(({ callsPerSecond }) => callsPerSecond),
      activity.map(({ recentCalls }) => recentCalls),
      activity.map(({ recentThrottled }) => recentThrottled),
      activity.map(({ latencyMs }) => latencyMs ?? null),
    ],
  });
}

/**
 * The work of all living processes, a row per instance. Living ones have reported within 10 s, five times their interval.
 * `recent_calls` and `recent_throttled` are of the last ten minutes.
 */
export const livingActivitySql = `
select instance_id, count(*)::int as workers, sum(in_flight)::int as in_flight,
  sum(calls_per_second)::float8 as calls_per_second,
  sum(recent_calls)::int as recent_calls, sum(recent_throttled)::int as recent_throttled,
  (sum(latency_ms * recent_calls) / nullif(sum(recent_calls) filter (where latency_ms is not null), 0))::float8 as latency_ms
from avatars.worker_activity
where reported_at > clock_timestamp() - interval '10 seconds'
group by instance_id`;
