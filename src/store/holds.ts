import type pg from "pg";
import type { Hold } from "../domain/hold.ts";
import type { InstanceId } from "../domain/instance-id.ts";

/**
 * Opens a hold, or lengthens it when it has run out without a good answer. `held_until` stays when a hold ends: a
 * call that was sent before it tells of the trouble that we know, however late its answer is.
 */
const holdSql = `
update avatars.instances i
set state = 'held', held_reason = $2,
  held_since = case when i.state = 'held' then i.held_since else clock_timestamp() end,
  held_until = clock_timestamp() + least($4::float8, $3::float8 * 2 ^ least(i.hold_count, 20)) * interval '1 ms',
  hold_count = least(i.hold_count + 1, 1000)
where i.id = $1 and i.state <> 'paused' and to_timestamp($5::float8 / 1000) >= coalesce(i.held_until, '-infinity')
returning held_until`;

const endHoldSql = `
update avatars.instances
set state = 'active', held_reason = null, held_since = null, held_until = least(held_until, clock_timestamp()),
  hold_count = 0
where id = $1 and state = 'held'`;

/** See {@link RunLedger.holdInstance}. */
export async function holdInstance(
  pool: pg.Pool,
  id: InstanceId,
  hold: Hold,
  askedAtMs: number,
): Promise<Date | undefined> {
  const values = [id, hold.reason, hold.baseMs, hold.maxMs, askedAtMs];
  const { rows } = await pool.query<{ held_until: Date }>(holdSql, values);
  return rows[0]?.held_until;
}

/** See {@link RunLedger.endHold}. */
export async function endHold(pool: pg.Pool, id: InstanceId): Promise<void> {
  await pool.query(endHoldSql, [id]);
}

/** Lets the next claim probe at once; the hold itself ends with the first good answer. */
export async function probeNow(pool: pg.Pool, id: InstanceId): Promise<void> {
  await pool.query(
    `update avatars.instances set held_until = clock_timestamp() where id = $1 and state = 'held' and held_until > clock_timestamp()`,
    [id],
  );
}
