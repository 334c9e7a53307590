import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";
import type {
  HandOver,
  HeldLease,
  LeaseResult,
  Renewal,
  Renewals,
  SeenLease,
} from "../../domain/ledger/lease.ts";
import { toCareState, toInteractiveDue, toMoreCalls } from "./care-sql.ts";
import {
  leasedForMs,
  toAllowance,
  toInstanceColumns,
  toLeasedInstance,
  toMs,
  toProgress,
  type InstanceCells,
  type PaceSettings,
} from "./lease-sql.ts";
import { toCallsAllowed } from "./pace-sql.ts";

const leasedUntil = `clock_timestamp() + interval '${leasedForMs} ms'`;

/**
 * The lease is taken where it is free, or the caller's own already: then an earlier one of this process has ended without its
 * knowledge. What was left to it is kept in the row until it is handed over again.
 *
 * | parameter | what                                        |
 * | --------- | ------------------------------------------- |
 * | `$1`      | the instance                                |
 * | `$2`      | the process                                 |
 * | `$3`      | calls per second of instances that set none |
 */
const takeSql = `
with instance as materialized (
  select * from avatars.instances where id = $1 for no key update
), seen as materialized (
  -- Computed when the row is locked: another process may have changed it during the wait.
  select i.id, i.lease_owner is distinct from $2 and i.lease_owner is not null as is_busy, i.recent_calls, i.handed_over_at,
    -- A clock that was set back must not stop the instance for as long.
    least(i.next_call_at, clock_timestamp() + interval '1 minute') as next_call_at, ${toInstanceColumns(
      "$3",
      {
        quiet: `q.is_quiet and not (${toInteractiveDue("clock_timestamp()")})`,
        capped: "q.made >= i.calls_per_day",
      },
    )}, q.made, ${toMoreCalls("fresh", "0", toCallsAllowed("i", "$3"))} as granted
  from instance i
  cross join lateral ${toCareState("clock_timestamp()")} q
  -- What an earlier lease has not given back counts as made.
  cross join lateral (select q.made, 0 as granted) fresh
), taken as (
  update avatars.instances i
  set lease_owner = $2, lease_epoch = i.lease_epoch + 1, leased_until = ${leasedUntil},
    calls_day = coalesce(s.day::date, i.calls_day), calls_today = case when s.day is null then i.calls_today else s.made + s.granted end,
    calls_granted = s.granted
  from seen s
  where i.id = s.id and not s.is_busy and s.refusal is null
  returning i.lease_epoch
)
select s.*, ${toMs("s.next_call_at")} as calls_from_ms, ${toMs("s.handed_over_at")} as handed_over_at_ms,
  (select lease_epoch from taken)::float8 as epoch, ${toMs("clock_timestamp()")} as now_ms
from seen s`;

interface TakenRow extends InstanceCells {
  is_busy: boolean;
  recent_calls: number[] | null;
  calls_from_ms: number;
  handed_over_at_ms: number | null;
  epoch: number | null;
  granted: number | null;
  now_ms: number;
}

/** See {@link RunLedger.takeLease}. */
export async function takeLease(
  pool: pg.Pool,
  settings: PaceSettings,
  instanceId: InstanceId,
  owner: string,
): Promise<LeaseResult> {
  const { rows } = await pool.query<TakenRow>({
    name: "take-lease",
    text: takeSql,
    values: [instanceId, owner, settings.requestsPerSecond],
  });
  const row = rows[0];
  if (row === undefined) return { kind: "gone" };
  if (row.refusal !== null) return { kind: row.refusal };
  if (row.epoch === null) return { kind: "busy" };
  return {
    kind: "taken",
    epoch: row.epoch,
    instance: toLeasedInstance(row),
    callsFromMs: row.calls_from_ms,
    recentCallsMs: row.recent_calls ?? [],
    handedOverAtMs: row.handed_over_at_ms ?? undefined,
    databaseNowMs: row.now_ms,
    allowance: toAllowance(row, row.granted, row.now_ms),
  };
}

/** All leases of a process at once. A row that another transaction has locked is left for the next time. */
const renewSql = `
with held as materialized (
  select * from unnest($3::text[], $4::bigint[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[], $9::date[], $10::int[])
    as h (id, epoch, calls, turn_0, turn_1, turn_2, day, spent)
), locked as materialized (
  select i.* from avatars.instances i
  where i.id = any ($3::text[]) and i.lease_owner = $1
  order by i.id for no key update skip locked
), granted as materialized (
  select i.id, q.day, q.is_quiet, q.made + m.more as made, q.granted + m.more as granted, s.spent
  from locked i
  join held h on h.id = i.id
  cross join lateral ${toCareState("clock_timestamp()")} q
  cross join lateral (select case when h.day = q.day then h.spent else 0 end as spent) s
  cross join lateral (select ${toMoreCalls("q", "s.spent", toCallsAllowed("i", "$2"))} as more) m
), renewed as (
  update avatars.instances i
  set leased_until = ${leasedUntil}, ${toProgress("h.calls", "array[h.turn_0, h.turn_1, h.turn_2]", "$2")},
    calls_day = coalesce(q.day, i.calls_day), calls_today = case when q.day is null then i.calls_today else q.made end,
    calls_granted = case when q.day is null then i.calls_granted else q.granted end
  from held h, granted q
  where i.id = any (array(select id from locked)) and i.id = h.id and q.id = h.id
    and i.lease_owner = $1 and i.lease_epoch = h.epoch
  returning i.id, ${toInstanceColumns("$2", {
    quiet: "q.is_quiet and not coalesce(i.quiet_interactive, false)",
    capped: "q.made >= i.calls_per_day and q.spent >= q.granted",
  })}, q.granted
), ours as (
  select i.id from avatars.instances i join held h on h.id = i.id
  where i.lease_owner = $1 and i.lease_epoch = h.epoch
)
select h.id as instance_id, r.*, h.id in (select id from ours) as is_ours, ${toMs("clock_timestamp()")} as now_ms
from held h left join renewed r on r.id = h.id`;

type RenewedRow = { instance_id: InstanceId; is_ours: boolean; now_ms: number } & (
  | ({ id: string; granted: number | null } & InstanceCells)
  | { id: null }
);

/** See {@link RunLedger.renewLeases}. */
export async function renewLeases(
  pool: pg.Pool,
  settings: PaceSettings,
  owner: string,
  held: readonly HeldLease[],
): Promise<Renewals> {
  const { rows } = await pool.query<RenewedRow>({
    name: "renew-leases",
    text: renewSql,
    values: [
      owner,
      settings.requestsPerSecond,
      held.map(({ instanceId }) => instanceId),
      held.map(({ epoch }) => epoch),
      held.map(({ calls }) => calls),
      ...[0, 1, 2].map((priority) => held.map(({ turns }) => turns[priority])),
      held.map(({ spent }) => spent?.day ?? null),
      held.map(({ spent }) => spent?.calls ?? 0),
    ],
  });
  const leases = rows.map((row) => {
    const { instance_id: instanceId } = row;
    if (row.id === null) return { instanceId, kind: row.is_ours ? "kept" : "lost" } as const;
    const refusal = row.refusal ?? undefined;
    const allowance = toAllowance(row, row.granted, row.now_ms);
    return { instanceId, kind: "renewed", instance: toLeasedInstance(row), refusal, allowance } as const;
  });
  return { leases, databaseNowMs: rows[0]?.now_ms ?? 0 };
}

/** How many calls are left is told by renewals: these come one after the other. */
const lookSql = `
select i.id, ${toInstanceColumns("$4", {
  quiet: "q.is_quiet and not coalesce(i.quiet_interactive, false)",
  capped: "false",
})}
from avatars.instances i cross join lateral ${toCareState("clock_timestamp()")} q
where i.id = $1 and i.lease_owner = $2 and i.lease_epoch = $3`;

/** See {@link RunLedger.lookAtLease}. */
export async function lookAtLease(
  pool: pg.Pool,
  settings: PaceSettings,
  owner: string,
  { instanceId, epoch }: Pick<HeldLease, "instanceId" | "epoch">,
): Promise<Renewal> {
  const { rows } = await pool.query<InstanceCells>({
    name: "look-at-lease",
    text: lookSql,
    values: [instanceId, owner, epoch, settings.requestsPerSecond],
  });
  const row = rows[0];
  if (row === undefined) return { instanceId, kind: "lost" };
  return { instanceId, kind: "renewed", instance: toLeasedInstance(row), refusal: row.refusal ?? undefined };
}

/**
 * Calls in flight are noted at their contacts as far as no other transaction has these locked, else beside them
 * (docs/lock-waits.md). A lease that was lost leaves nothing.
 */
const handOverSql = `
with instance as materialized (
  select i.id from avatars.instances i where i.id = $1 and i.lease_owner = $2 and i.lease_epoch = $3 for no key update
), ours as materialized (
  select c.id from avatars.contacts c
  where c.id = any ($8::bigint[]) and exists (select from instance) and c.due_at is not null
  order by c.id for no key update skip locked
), marked as (
  update avatars.contacts c
  set in_flight_epoch = $3, in_flight_until = clock_timestamp() + $9::float8 * interval '1 ms'
  where c.id = any (array(select id from ours))
), busy as materialized (
  select c.id, c.instance_id from avatars.contacts c
  where c.id = any (array(select unnest($8::bigint[]) except select id from ours)) and exists (select from instance)
    and c.due_at is not null
  order by c.id for key share skip locked
), beside as (
  insert into avatars.lookups_aside as a (contact_id, instance_id, epoch, in_flight_until)
  select id, instance_id, $3, clock_timestamp() + $9::float8 * interval '1 ms' from busy order by id
  on conflict (contact_id) do update set epoch = excluded.epoch, in_flight_until = excluded.in_flight_until
  where a.record is null
), given as materialized (
  select clock_timestamp() as at
)
update avatars.instances i
set lease_owner = null, leased_until = null, handed_over_at = g.at, next_call_at = g.at + $6::float8 * interval '1 ms',
  recent_calls = array(select ${toMs("g.at")} - age from unnest($7::float8[]) as r (age)),
  -- What was granted and not spent is left for others. What was granted last may never have reached its holder.
  calls_today = i.calls_today - greatest(0, coalesce(i.calls_granted, 0) - case when i.calls_day = $11::date then $12::int else 0 end),
  calls_granted = null,
  ${toProgress("$4::int", "$5::bigint[]", "$10")}
from given g where i.id in (select id from instance)`;

/** See {@link RunLedger.handOver}. */
export async function handOver(
  pool: pg.Pool,
  settings: PaceSettings,
  owner: string,
  lease: HandOver,
): Promise<void> {
  await pool.query({
    name: "hand-over-lease",
    text: handOverSql,
    values: [
      lease.instanceId,
      owner,
      lease.epoch,
      lease.calls,
      lease.turns,
      lease.nextCallInMs,
      lease.recentAgesMs,
      lease.inFlight,
      settings.inFlightMs,
      settings.requestsPerSecond,
      lease.spent?.day ?? null,
      lease.spent?.calls ?? 0,
    ],
  });
}

/** See {@link RunLedger.listLeases}. The mark is text: it is compared, never read. */
export async function listLeases(pool: pg.Pool, owner: string): Promise<SeenLease[]> {
  const { rows } = await pool.query<SeenLease>({
    name: "list-leases",
    text: `select id as "instanceId", lease_epoch::float8 as epoch, leased_until::text as mark from avatars.instances
      where lease_owner is not null and lease_owner <> $1`,
    values: [owner],
  });
  return rows;
}

const endDeadSql = `
with dead as materialized (
  select * from unnest($1::text[], $2::bigint[], $3::text[]) as d (id, epoch, mark)
), locked as materialized (
  select i.id from avatars.instances i join dead d on d.id = i.id
  where i.lease_epoch = d.epoch and i.leased_until::text = d.mark
  order by i.id for no key update of i skip locked
)
update avatars.instances i
set lease_owner = null, leased_until = null, lease_epoch = i.lease_epoch + 1, next_call_at = clock_timestamp(),
  recent_calls = null, handed_over_at = null
where i.id = any (array(select id from locked))
returning i.id`;

/** See {@link RunLedger.endDeadLeases}. */
export async function endDeadLeases(pool: pg.Pool, dead: readonly SeenLease[]): Promise<InstanceId[]> {
  const { rows } = await pool.query<{ id: InstanceId }>(endDeadSql, [
    dead.map(({ instanceId }) => instanceId),
    dead.map(({ epoch }) => epoch),
    dead.map(({ mark }) => mark),
  ]);
  return rows.map(({ id }) => id);
}
