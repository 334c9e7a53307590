import type pg from "pg";
import type { Backlog, InstanceGauges } from "../../domain/views/instance-gauges.ts";
import { simulatedInstanceId } from "../../domain/instance-id.ts";
import { readCareFacts, toCareFacts, toCareState, type CareJson } from "../work/care-sql.ts";
import { toDueHeads } from "../work/due-sql.ts";
import { toCallsAllowed, toMarginMs, toRate } from "../work/pace-sql.ts";
import { queryWithin } from "../postgres/query-within.ts";
import { livingActivitySql } from "./worker-activity.ts";

/** The oldest due contact is that of the heads: up to 200 µs per instance, whatever the number of contacts. */
const gaugesSql = `
select i.id as "instanceId", i.state, case when i.state = 'held' then i.held_reason end as "heldReason",
  ${toRate("i", "$1")} as "requestsPerSecond", ${toCallsAllowed("i", "$1")} as "callsAllowed",
  ${toMarginMs("i")} as "marginMs", ${toCareFacts("q")} as care, i.max_in_flight as "maxInFlight",
  greatest(0, coalesce(extract(epoch from i.throttled_until - now()), 0))::float8 * 1000 as "waitMs",
  extract(epoch from now() - o.oldest_due_at)::float8 * 1000 as "oldestDueAgeMs",
  coalesce(a.workers, 0) as workers, coalesce(a.calls_per_second, 0) as "callsPerSecond", a.latency_ms as "latencyMs"
from avatars.instances i
cross join lateral ${toCareState("now()")} q
left join (${livingActivitySql}) a on a.instance_id = i.id
cross join lateral (
  select min(due_at) as oldest_due_at from (${toDueHeads("now()")}
  ) heads
) o
where i.id <> $2
order by i.id`;

/**
 * From the two due indexes alone: 0.3 s per million of due contacts, about 1 s right after an import. Contacts with a turn
 * are due.
 */
const backlogSql = `
select instance_id as "instanceId", sum(due)::int as due, sum(waiting)::int as waiting
from (
  select instance_id, count(*) as due, 0 as waiting from avatars.contacts where turn is not null group by instance_id
  union all
  select instance_id, count(*) filter (where due_at <= now()), count(*) filter (where due_at > now())
  from avatars.contacts where turn is null and due_at is not null group by instance_id
) counts
where instance_id <> $1
group by instance_id`;

type Row = Omit<InstanceGauges, "heldReason" | "maxInFlight" | "oldestDueAgeMs" | "latencyMs" | "care"> & {
  readonly care: CareJson | null;
  readonly heldReason: string | null;
  readonly maxInFlight: number | null;
  readonly oldestDueAgeMs: number | null;
  readonly latencyMs: number | null;
};

/**
 * Where each instance stands, but for the simulator's: cheap enough to be read every few seconds.
 * @param defaultRate calls per second of instances that set none
 */
export async function readGauges(
  pool: pg.Pool,
  defaultRate: number,
  deadlineMs: number,
): Promise<InstanceGauges[]> {
  const rows = await queryWithin<Row>(pool, { deadlineMs, reading: "probes" }, gaugesSql, [
    defaultRate,
    simulatedInstanceId,
  ]);
  return rows.map((row) => ({
    ...row,
    heldReason: row.heldReason ?? undefined,
    maxInFlight: row.maxInFlight ?? undefined,
    oldestDueAgeMs: row.oldestDueAgeMs ?? undefined,
    latencyMs: row.latencyMs ?? undefined,
    care: readCareFacts(row.care),
  }));
}

/** Counts the contacts that wait for a call; instances without any are left out. */
export async function countBacklog(pool: pg.Pool, deadlineMs: number): Promise<Backlog[]> {
  return queryWithin<Backlog>(pool, { deadlineMs, reading: "counts" }, backlogSql, [simulatedInstanceId]);
}
