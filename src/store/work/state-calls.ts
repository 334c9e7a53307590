import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";

/**
 * The provider allows one getStateInstance a second, and one getContacts (provider contract, Budget); the rest is for the
 * network's jitter. Both share these turns: stricter than needed, and both calls are rare.
 */
const stateCallsApartMs = 1_100;

/**
 * Reserves one call at a time over all processes: the row is the queue. A clock that was set back must not stop the calls for
 * as long.
 */
const reserveSql = `
update avatars.instances i
set next_state_call_at = greatest(clock_timestamp(), least(i.next_state_call_at, clock_timestamp() + interval '1 minute'))
  + ${stateCallsApartMs} * interval '1 ms'
where i.id = $1
returning extract(epoch from i.next_state_call_at - clock_timestamp())::float8 * 1000 - ${stateCallsApartMs} as wait_ms`;

/** See {@link RunLedger.reserveStateCall}. */
export async function reserveStateCall(pool: pg.Pool, id: InstanceId): Promise<number> {
  const { rows } = await pool.query<{ wait_ms: number }>(reserveSql, [id]);
  return Math.max(0, rows[0]?.wait_ms ?? 0);
}

const noteSql = `
update avatars.instances
set state_seen = coalesce($2::text, state_seen),
  state_seen_at = case when $2::text is null then state_seen_at else clock_timestamp() end,
  next_state_call_at = greatest(next_state_call_at, clock_timestamp() + interval '1 second')
where id = $1`;

/** See {@link RunLedger.noteState}. */
export async function noteState(pool: pg.Pool, id: InstanceId, state: string | undefined): Promise<void> {
  await pool.query(noteSql, [id, state]);
}
