import type pg from "pg";
import { findCarePause } from "../../domain/care/care-pause.ts";
import { toCareView, type CareView } from "../../domain/care/care-view.ts";
import { drainMs } from "../../domain/pace/drain-time.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { InstanceStatus } from "../../domain/views/instance-status.ts";
import { readCareFacts, toCareFacts, toCareState, type CareJson } from "../work/care-sql.ts";
import { toDue } from "../work/due-sql.ts";
import { findStalledInstances } from "../work/find-due-instances.ts";
import { toCallsAllowed, toMarginMs, toSlowdown } from "../work/pace-sql.ts";
import { livingActivitySql } from "./worker-activity.ts";

const isDue = toDue("now()");

/** @param which a condition on `instance_id` */
const toSql = (which: string) => `
select i.id as "instanceId", i.state, i.held_reason as "heldReason", i.held_since as "heldSince",
  case when i.state = 'held' then i.held_until end as "heldUntil",
  i.requests_per_second as "requestsPerSecond", ${toCallsAllowed("i", "$1")} as "callsAllowed",
  ${toSlowdown("i", "$1")} as slowdown, ${toMarginMs("i")} as "marginMs",
  case when i.throttled_until > clock_timestamp() then i.throttled_until end as "throttledUntil",
  ${toCareFacts("q")} as care, i.max_in_flight as "maxInFlight", i.next_call_at as "nextCallAt",
  coalesce(a.workers, 0) as workers, coalesce(a.in_flight, 0) as "inFlight",
  coalesce(a.calls_per_second, 0) as "callsPerSecond", coalesce(a.recent_calls, 0) as "recentCalls",
  a.recent_throttled::float8 / nullif(a.recent_calls, 0) as "throttledShare", a.latency_ms as "latencyMs",
  coalesce(c.due, 0) as due, coalesce(c.waiting, 0) as waiting, coalesce(c.claimed, 0) as claimed,
  c.oldest_due_at as "oldestDueAt",
  json_build_object('present', coalesce(c.present, 0), 'absent', coalesce(c.absent, 0), 'hidden', coalesce(c.hidden, 0),
    'invalid', coalesce(c.invalid, 0), 'unreachable', coalesce(c.unreachable, 0), 'unknown', coalesce(c.unknown, 0)) as contacts
from avatars.instances i
cross join lateral ${toCareState("clock_timestamp()")} q
left join (${livingActivitySql}) a on a.instance_id = i.id
left join (
  select instance_id,
    count(*) filter (where ${isDue})::int as due,
    count(*) filter (where due_at > now())::int as waiting,
    count(*) filter (where in_flight_until > now())::int as claimed,
    min(due_at) filter (where ${isDue}) as oldest_due_at,
    count(*) filter (where status = 'present')::int as present,
    count(*) filter (where status = 'absent')::int as absent,
    count(*) filter (where status = 'hidden')::int as hidden,
    count(*) filter (where status = 'invalid')::int as invalid,
    count(*) filter (where status = 'unreachable')::int as unreachable,
    count(*) filter (where status = 'unknown')::int as unknown
  from avatars.contacts c where ${which} group by instance_id
) c on c.instance_id = i.id
where ${which.replaceAll("instance_id", "i.id")}
order by i.id`;

const ofAllSql = toSql("instance_id is not null");
const ofOneSql = toSql("instance_id = $2");

/** A row as the driver gives it: null for what there is not. */
type Row = {
  [K in keyof Omit<InstanceStatus, "stalled" | "etaMs" | "carePause" | keyof CareView>]:
    | Exclude<InstanceStatus[K], undefined>
    | (undefined extends InstanceStatus[K] ? null : never);
} & { maxInFlight: number | null; care: CareJson | null };

/**
 * Reads where instances stand, in one pass over the contacts, about a second per million. For people and checks, not for a
 * hot path.
 * @param defaultRate calls per second of instances that set none
 * @param only this instance
 */
export async function readStatus(
  pool: pg.Pool,
  defaultRate: number,
  only?: InstanceId,
): Promise<InstanceStatus[]> {
  const { rows } =
    only === undefined
      ? await pool.query<Row>(ofAllSql, [defaultRate])
      : await pool.query<Row>(ofOneSql, [defaultRate, only]);
  const stalled = new Set(await findStalledInstances(pool));
  return rows.map((row) => toStatus(row, defaultRate, stalled.has(row.instanceId)));
}

function toStatus(
  { maxInFlight, care: json, ...row }: Row,
  defaultRate: number,
  stalled: boolean,
): InstanceStatus {
  const throttledUntil = row.throttledUntil ?? undefined;
  const latencyMs = row.latencyMs ?? undefined;
  const care = readCareFacts(json);
  const now = new Date();
  return {
    ...row,
    ...toCareView(json),
    carePause: findCarePause(care, now),
    heldReason: row.heldReason ?? undefined,
    heldSince: row.heldSince ?? undefined,
    heldUntil: row.heldUntil ?? undefined,
    requestsPerSecond: row.requestsPerSecond ?? undefined,
    throttledUntil,
    throttledShare: row.throttledShare ?? undefined,
    latencyMs,
    oldestDueAt: row.oldestDueAt ?? undefined,
    etaMs: drainMs(
      {
        ...row,
        requestsPerSecond: row.requestsPerSecond ?? defaultRate,
        backlog: row.due + row.claimed + row.waiting,
        maxInFlight: maxInFlight ?? undefined,
        latencyMs,
        waitMs: throttledUntil ? Math.max(0, throttledUntil.getTime() - now.getTime()) : 0,
        care,
      },
      now.getTime(),
    ),
    stalled,
  };
}
