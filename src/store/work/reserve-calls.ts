import type pg from "pg";
import type { Reservation, ReserveRequest } from "../../domain/ledger/run-ledger.ts";
import type { Pace } from "../../domain/pace/pacer.ts";
import type { PaceSettings } from "./pace-settings.ts";
import { toPaceColumns, toReservation, toSlotColumns } from "./slots-sql.ts";

const sql = `
with locked as materialized (
  select * from avatars.instances where id = $1 for no key update
), instance as materialized (
  select i.*, ${toPaceColumns("$4")}
  from locked i
  where (i.state = 'active' or i.state = 'held' and i.held_until <= clock_timestamp())
    and (i.throttled_until is null or i.throttled_until <= clock_timestamp())
), slots as materialized (
  select i.id, i.rate, i.margin, ${toSlotColumns("$2")}
  from instance i
)
update avatars.instances i
set ${toReservation("$3::int", "$2")}
from slots s
where i.id = s.id
returning s.spacing_ms, s.rate, s.margin,
  extract(epoch from s.slots_from)::float8 * 1000 as slots_from_ms,
  extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`;

interface Row {
  spacing_ms: number;
  rate: number;
  margin: number;
  slots_from_ms: number;
  now_ms: number;
}

/** See {@link RunLedger.reserveCalls}. */
export async function reserveCalls(
  pool: pg.Pool,
  settings: PaceSettings,
  request: ReserveRequest,
): Promise<(Reservation & { readonly pace: Pace }) | undefined> {
  const { rows } = await pool.query<Row>({
    name: "reserve-calls",
    text: sql,
    values: [request.instanceId, request.laneId, request.calls, settings.requestsPerSecond],
  });
  const row = rows[0];
  return (
    row && {
      slotsFromMs: row.slots_from_ms,
      slotsUntilMs: row.slots_from_ms + (request.calls - 1) * row.spacing_ms,
      databaseNowMs: row.now_ms,
      pace: { requestsPerSecond: row.rate, marginMs: row.margin },
    }
  );
}
