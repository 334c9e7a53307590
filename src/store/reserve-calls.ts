import type pg from "pg";
import type { Reservation, ReserveRequest } from "../domain/ledger.ts";
import { laneGapMs } from "./claim-due-contacts.ts";
import type { PaceSettings } from "./pace-settings.ts";
import { toSlotColumns } from "./slots-sql.ts";

const sql = `
with instance as materialized (
  select i.*, coalesce(i.requests_per_second, $4::real)::float8 as rate
  from avatars.instances i
  where i.id = $1 and (i.state = 'active' or i.state = 'held' and i.held_until <= clock_timestamp())
  for no key update
), slots as materialized (
  select i.id, ${toSlotColumns({ marginMs: "$5", laneId: "$2", laneGapMs: "$6" })}
  from instance i
)
update avatars.instances i
set next_call_at = s.slots_from + $3::int * s.spacing_ms * interval '1 ms', paced_by = $2
from slots s
where i.id = s.id
returning s.spacing_ms,
  extract(epoch from s.slots_from)::float8 * 1000 as slots_from_ms,
  extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`;

/** See {@link RunLedger.reserveCalls}. */
export async function reserveCalls(
  pool: pg.Pool,
  settings: PaceSettings,
  request: ReserveRequest,
): Promise<Reservation | undefined> {
  const { rows } = await pool.query<{ spacing_ms: number; slots_from_ms: number; now_ms: number }>({
    name: "reserve-calls",
    text: sql,
    values: [
      request.instanceId,
      request.laneId,
      request.calls,
      settings.requestsPerSecond,
      settings.marginMs,
      laneGapMs,
    ],
  });
  const row = rows[0];
  return (
    row && {
      slotsFromMs: row.slots_from_ms,
      slotsUntilMs: row.slots_from_ms + (request.calls - 1) * row.spacing_ms,
      databaseNowMs: row.now_ms,
    }
  );
}
