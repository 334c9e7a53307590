import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Refusal, ThrottledPace } from "../../domain/ledger/run-ledger.ts";
import {
  leastMarginGrowthMs,
  leastSlowdown,
  marginGrowth,
  mostMarginMs,
  refusalsApartMs,
  refusalsForHold,
  refusalsForMargin,
  slowdownFactor,
} from "../../domain/pace/refusal-constants.ts";
import { toCallsAllowed, toMarginMs, toSlowdown } from "./pace-sql.ts";

/**
 * A call that was sent before the last change says nothing about the present pace: only later ones count. How long to wait is
 * taken from all refusals, and a resync that is under way counts them all.
 */
const sql = `
with locked as materialized (
  select * from avatars.instances where id = $1 for no key update
), counted as (
  update avatars.resync_runs set throttled = throttled + 1 where instance_id = $1 and ended_at is null
), news as materialized (
  -- Computed when the row is locked: refusals that wait for each other must not all count.
  select i.*, clock_timestamp() as clock,
    -- A moment of the future: the clock was set back.
    (i.throttled_at is null or to_timestamp($4::float8 / 1000) > i.throttled_at
      or i.throttled_at > clock_timestamp()) as is_new
  from locked i
), sign as materialized (
  select i.*, s.strikes,
    i.is_new and $3 = 'provider' and s.strikes <= ${refusalsForMargin} as widens,
    i.is_new and ($3 = 'whatsapp' or s.strikes > ${refusalsForMargin}) as slows
  from news i
  cross join lateral (
    select case when not i.is_new then i.throttle_count
      when i.throttled_at > i.clock - ${refusalsApartMs} * interval '1 ms' then least(i.throttle_count, 1000) + 1
      else 1 end as strikes
  ) s
)
update avatars.instances i
set throttle_count = s.strikes,
  throttled_at = case when s.is_new then s.clock else s.throttled_at end,
  margin_ms = case when s.widens
    then least(${mostMarginMs}, greatest(${toMarginMs("s")} * ${marginGrowth}, ${toMarginMs("s")} + ${leastMarginGrowthMs}))
    else s.margin_ms end,
  slowdown = case when s.slows then greatest(${leastSlowdown}, ${toSlowdown("s")} * ${slowdownFactor}) else s.slowdown end,
  slowed_at = case when s.slows then s.clock else s.slowed_at end,
  throttled_until = greatest(s.throttled_until, s.clock + $5::float8 * interval '1 ms')
from sign s
where i.id = s.id and (s.is_new or $5::float8 is not null)
returning s.is_new, i.throttle_count, ${toMarginMs("i")} as margin_ms,
  ${toCallsAllowed("i", "$2")} as calls_allowed,
  case when $5::float8 is not null then i.throttled_until end as throttled_until`;

interface Row {
  is_new: boolean;
  throttle_count: number;
  margin_ms: number;
  calls_allowed: number;
  throttled_until: Date | null;
}

/** See {@link RunLedger.throttle}. */
export async function throttle(
  pool: pg.Pool,
  requestsPerSecond: number,
  instanceId: InstanceId,
  { by, retryAfterMs }: Refusal,
  askedAtMs: number,
): Promise<ThrottledPace | undefined> {
  const values = [instanceId, requestsPerSecond, by, askedAtMs, retryAfterMs];
  const { rows } = await pool.query<Row>(sql, values);
  const row = rows[0];
  return (
    row && {
      marginMs: row.margin_ms,
      callsAllowed: row.calls_allowed,
      until: row.throttled_until ?? undefined,
      mustHold: row.is_new && row.throttle_count >= refusalsForHold,
    }
  );
}
