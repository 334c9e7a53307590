import type pg from "pg";
import { simulatedInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import type { CareFacts } from "../../domain/care/care.ts";
import type { InstanceOverview } from "../../domain/views/instance-overview.ts";
import { readCareFacts, toCareFacts, toCareState, type CareJson } from "../work/care-sql.ts";
import { toDueHeads } from "../work/due-sql.ts";
import { toCallsAllowed, toMarginMs, toRate, toSlowdown } from "../work/pace-sql.ts";
import { queryWithin } from "../postgres/query-within.ts";
import { livingActivitySql } from "./worker-activity.ts";

/** Costs as much as the gauges (read-gauges.ts): up to 200 µs per instance, whatever the number of contacts. */
const sql = `
select i.id as "instanceId", i.label, i.state, case when i.state = 'held' then i.held_reason end as "heldReason",
  case when i.state = 'held' then i.held_since end as "heldSince",
  case when i.state = 'held' then i.held_until end as "heldUntil",
  ${toRate("i", "$1")} as "requestsPerSecond", ${toCallsAllowed("i", "$1")} as "callsAllowed",
  ${toSlowdown("i", "$1")} as slowdown, ${toMarginMs("i")} as "marginMs", ${toCareFacts("q")} as care, i.max_in_flight as "maxInFlight",
  case when i.throttled_until > clock_timestamp() then i.throttled_until end as "throttledUntil",
  greatest(0, coalesce(extract(epoch from i.throttled_until - now()), 0))::float8 * 1000 as "waitMs",
  extract(epoch from now() - o.oldest_due_at)::float8 * 1000 as "oldestDueAgeMs",
  i.state_seen as "stateSeen", i.state_seen_at as "stateSeenAt",
  coalesce(a.workers, 0) as workers, coalesce(a.in_flight, 0) as "inFlight",
  coalesce(a.calls_per_second, 0) as "callsPerSecond", a.latency_ms as "latencyMs",
  coalesce(a.recent_calls, 0) as "recentCalls", coalesce(a.recent_throttled, 0) as "recentThrottled"
from avatars.instances i
cross join lateral ${toCareState("now()")} q
left join (${livingActivitySql}) a on a.instance_id = i.id
cross join lateral (
  select min(due_at) as oldest_due_at from (${toDueHeads("now()")}
  ) heads
) o
where i.id <> $2
order by i.id`;

/** What one statement tells of an instance. */
export type OverviewRow = Omit<InstanceOverview, "backlog" | "etaMs" | "history" | "carePause"> & {
  readonly waitMs: number;
  readonly care: CareFacts | undefined;
};

/** A row as the driver gives it: null for what there is not. */
type Row = {
  [K in keyof Omit<OverviewRow, "care">]:
    | Exclude<OverviewRow[K], undefined>
    | (undefined extends OverviewRow[K] ? null : never);
} & { readonly care: CareJson | null };

/**
 * Where each instance stands at a glance, but for the simulator's: cheap enough to be read every few seconds.
 * @param defaultRate calls per second of instances that set none
 */
export async function readOverview(
  pool: pg.Pool,
  defaultRate: number,
  deadlineMs: number,
): Promise<OverviewRow[]> {
  const rows = await queryWithin<Row>(pool, { deadlineMs, reading: "probes" }, sql, [
    defaultRate,
    simulatedInstanceId,
  ]);
  return rows.map((row) => ({
    ...row,
    care: readCareFacts(row.care),
    label: row.label ?? undefined,
    heldReason: row.heldReason ?? undefined,
    heldSince: row.heldSince ?? undefined,
    heldUntil: row.heldUntil ?? undefined,
    throttledUntil: row.throttledUntil ?? undefined,
    maxInFlight: row.maxInFlight ?? undefined,
    oldestDueAgeMs: row.oldestDueAgeMs ?? undefined,
    latencyMs: row.latencyMs ?? undefined,
    stateSeen: row.stateSeen ?? undefined,
    stateSeenAt: row.stateSeenAt ?? undefined,
  }));
}

/** How fast each instance is called now, by all living processes; those that are not called are left out. */
export async function readPace(
  pool: pg.Pool,
): Promise<{ readonly instanceId: InstanceId; readonly callsPerSecond: number }[]> {
  const { rows } = await pool.query<{ instanceId: InstanceId; callsPerSecond: number }>({
    name: "read-pace",
    text: `select instance_id as "instanceId", calls_per_second as "callsPerSecond" from (${livingActivitySql}) a`,
  });
  return rows;
}
