import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { Refusal, ThrottledPace } from "../../domain/ledger/run-ledger.ts";
import { afterRefusal, type LearnedPace } from "../../domain/pace/after-refusal.ts";
import { leastWhatsappShare, refusalsForHold, whatsappFactor } from "../../domain/pace/refusal-constants.ts";
import { toMs } from "./lease-sql.ts";
import { toCallsAllowed, toMarginMs, toWhatsappShare } from "./pace-sql.ts";

const toMoment = (ms: string) => `to_timestamp(${ms}::float8 / 1000)`;

/** A resync that is under way counts all refusals. How long to wait is taken from all of them. */
const noteSql = `
with counted as (
  update avatars.resync_runs set throttled = throttled + 1 where instance_id = $1 and ended_at is null
)
update avatars.instances i
set throttled_until = greatest(i.throttled_until, clock_timestamp() + $2::float8 * interval '1 ms')
where i.id = $1 and $2::float8 is not null
returning i.throttled_until`;

/** `$2` is the rate of instances that set none, `$3` when the call was sent. */
const readSql = `
select ${toMarginMs("i")} as margin_ms, i.throttle_count,
  ${toMs("i.throttled_at")} as refused_at_ms, ${toMs("clock_timestamp()")} as now_ms,
  ${toCallsAllowed("i", "$2")} as calls_allowed, ${toCallsAllowed("i", "$2", toMoment("$3"))} as calls_allowed_then,
  i.climb_rate, ${toMs("i.climb_from")} as climb_from_ms, i.taken_rate, i.probe_after_ms
from avatars.instances i where i.id = $1`;

/** Changes nothing where another refusal has changed the pace since it was read. */
const writeSql = `
update avatars.instances i
set throttled_at = clock_timestamp(), throttle_count = $3, margin_ms = $4,
  climb_rate = $5, climb_from = ${toMoment("$6")}, taken_rate = $7, probe_after_ms = $8,
  slowdown = case when $9 = 'whatsapp' then greatest(${leastWhatsappShare}, ${toWhatsappShare("i")} * ${whatsappFactor}) else i.slowdown end,
  slowed_at = case when $9 = 'whatsapp' then clock_timestamp() else i.slowed_at end
where i.id = $1 and ${toMs("i.throttled_at")} is not distinct from $10::float8
returning ${toMarginMs("i")} as margin_ms, ${toCallsAllowed("i", "$2")} as calls_allowed`;

interface Row {
  margin_ms: number;
  throttle_count: number;
  refused_at_ms: number | null;
  now_ms: number;
  calls_allowed: number;
  calls_allowed_then: number;
  climb_rate: number | null;
  climb_from_ms: number | null;
  taken_rate: number | null;
  probe_after_ms: number | null;
}

/**
 * See {@link RunLedger.throttle}. A call that was sent before the last change says nothing about the present pace: only later ones
 * count. Of those that race with each other, the first does.
 */
export async function throttle(
  pool: pg.Pool,
  requestsPerSecond: number,
  instanceId: InstanceId,
  { by, before, retryAfterMs }: Refusal,
  askedAtMs: number,
): Promise<ThrottledPace | undefined> {
  const noted = await pool.query<{ throttled_until: Date }>(noteSql, [instanceId, retryAfterMs]);
  const until = noted.rows[0]?.throttled_until;
  for (;;) {
    const { rows } = await pool.query<Row>(readSql, [instanceId, requestsPerSecond, askedAtMs]);
    const row = rows[0];
    if (row === undefined) return undefined;
    if (isOldNews(row, askedAtMs)) {
      return until && { marginMs: row.margin_ms, callsAllowed: row.calls_allowed, until, mustHold: false };
    }
    const pace = afterRefusal(toLearnedPace(row), {
      by,
      before,
      askedAtMs,
      nowMs: row.now_ms,
      callsAllowed: row.calls_allowed_then,
    });
    const written = await writePace(pool, requestsPerSecond, instanceId, { by, pace, row });
    if (written) return { ...written, until, mustHold: pace.refusals >= refusalsForHold };
  }
}

function isOldNews({ refused_at_ms: refusedAtMs, now_ms: nowMs }: Row, askedAtMs: number): boolean {
  // A moment of the future: the clock was set back.
  return refusedAtMs !== null && askedAtMs <= refusedAtMs && refusedAtMs <= nowMs;
}

/** Returns what follows as it is stored; undefined: the pace is no more as it was read. */
async function writePace(
  pool: pg.Pool,
  requestsPerSecond: number,
  instanceId: InstanceId,
  { by, pace, row }: { readonly by: Refusal["by"]; readonly pace: LearnedPace; readonly row: Row },
): Promise<Pick<ThrottledPace, "marginMs" | "callsAllowed"> | undefined> {
  const { marginMs, refusals, provider } = pace;
  const { rows } = await pool.query<Pick<Row, "margin_ms" | "calls_allowed">>(writeSql, [
    instanceId,
    requestsPerSecond,
    refusals,
    marginMs,
    provider?.climbRate,
    provider?.climbFromMs,
    provider?.takenRate,
    provider && Math.round(provider.probeAfterMs),
    by,
    row.refused_at_ms,
  ]);
  const written = rows[0];
  return written && { marginMs: written.margin_ms, callsAllowed: written.calls_allowed };
}

function toLearnedPace(row: Row): LearnedPace {
  const { climb_rate: climbRate, climb_from_ms: climbFromMs } = row;
  const provider =
    climbRate === null || climbFromMs === null
      ? undefined
      : {
          climbRate,
          climbFromMs,
          takenRate: row.taken_rate ?? undefined,
          probeAfterMs: row.probe_after_ms ?? 0,
        };
  return {
    marginMs: row.margin_ms,
    provider,
    refusedAtMs: row.refused_at_ms ?? undefined,
    refusals: row.throttle_count,
  };
}
