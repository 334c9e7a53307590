import type pg from "pg";
import { simulatedInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import type { SourceOutcome } from "../../domain/resync/resync-run.ts";
import { endRunsOf } from "./end-resync-run.ts";
import { beginPreparing, lockGate } from "../postgres/gates.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { toStorableText } from "../postgres/storable-text.ts";
import { withClient } from "../postgres/with-client.ts";

/** The database's clock, which all processes share. */
export async function readClock(pool: pg.Pool): Promise<Date> {
  const { rows } = await pool.query<{ now: Date }>("select clock_timestamp() as now");
  return rows[0]!.now;
}

/** The last night that was opened, or the moment since which nights are counted; undefined: they are not counted yet. */
export async function findLastNightAt(pool: pg.Pool): Promise<Date | undefined> {
  const { rows } = await pool.query<{ slot_at: Date | null }>(
    "select max(slot_at) as slot_at from avatars.resync_nights",
  );
  return rows[0]?.slot_at ?? undefined;
}

/** Nights count from here on: this one is not made up for. Twice is harmless. */
export async function beginNights(pool: pg.Pool, slotAt: Date, now: Date): Promise<void> {
  await pool.query(
    `insert into avatars.resync_nights (slot_at, opened_at, prepared_at)
     select $1, $2, $2 where not exists (select from avatars.resync_nights) on conflict do nothing`,
    [slotAt, now],
  );
}

export interface NewNight {
  readonly slotAt: Date;
  /** The night that is to be the one before: where it is not, another process was quicker. */
  readonly lastNightAt: Date;
  readonly now: Date;
  /** Undefined: with the next night. */
  readonly endsAt: Date | undefined;
}

/**
 * Opens a night, with a run for each instance, in one transaction. It happens once, however many processes try it at the same
 * time. Runs that are open end. False: another process was quicker.
 */
export async function openNight(pool: pg.Pool, night: NewNight): Promise<boolean> {
  const { slotAt, lastNightAt, now, endsAt } = night;
  return inTransaction(pool, async (client) => {
    await lockGate(client, "opening runs");
    // A statement of its own, which sees what was committed while we waited for the lock.
    const { rowCount } = await client.query(
      `insert into avatars.resync_nights (slot_at, opened_at)
       select $1, $3 where (select max(slot_at) from avatars.resync_nights) = $2 on conflict do nothing`,
      [slotAt, lastNightAt, now],
    );
    if (!rowCount) return false;
    const { rows } = await client.query<{ id: string }>("select id from avatars.instances where id <> $1", [
      simulatedInstanceId,
    ]);
    const instanceIds = rows.map(({ id }) => id);
    await endRunsOf(client, instanceIds, now, "next-night");
    await client.query(
      `insert into avatars.resync_runs (instance_id, kind, night_at, opened_at, next_release_at, ends_at)
       select i.id, 'night', $2, $3, $3, $4
       from unnest($1::text[]) as given (id) join avatars.instances i on i.id = given.id
       for key share of i`,
      [instanceIds, slotAt, now, endsAt ?? null],
    );
    return true;
  });
}

/** The work of an instance in a night, and how much of it fits in. */
export interface RunPlan {
  readonly instanceId: InstanceId;
  readonly due: number;
  readonly planned: number;
}

export interface NightPreparation {
  /** Undefined: there is no source. */
  readonly source: SourceOutcome | undefined;
  /** Undefined: it could not be planned. */
  readonly plans: readonly RunPlan[] | undefined;
}

/**
 * Prepares the night that waits for it, if there is one, and lets its runs begin. Its process holds a lock for as long, which
 * goes with its connection. Where it dies, another process goes on. Returns which one this process has prepared.
 */
export async function prepareNight(
  pool: pg.Pool,
  prepare: (slotAt: Date) => Promise<NightPreparation>,
): Promise<Date | undefined> {
  if ((await findUnprepared(pool)) === undefined) return undefined;
  return withClient(pool, async (client) => {
    if (!(await beginPreparing(client))) return undefined;
    // Under the lock: it may have been prepared meanwhile. Where this fails, the connection is given up, and the lock with it.
    const slotAt = await findUnprepared(pool);
    if (slotAt !== undefined) await writePreparation(pool, slotAt, await prepare(slotAt));
    await client.query("commit");
    return slotAt;
  });
}

async function findUnprepared(pool: pg.Pool): Promise<Date | undefined> {
  const { rows } = await pool.query<{ slot_at: Date }>(
    // Nights before the last one have nothing left to do.
    `select slot_at from avatars.resync_nights
     where prepared_at is null and slot_at = (select max(slot_at) from avatars.resync_nights)`,
  );
  return rows[0]?.slot_at;
}

async function writePreparation(
  pool: pg.Pool,
  slotAt: Date,
  { source, plans }: NightPreparation,
): Promise<void> {
  await inTransaction(pool, async (client) => {
    if (plans) {
      await client.query(
        `update avatars.resync_runs r set due = p.due, planned = p.planned
         from unnest($2::text[], $3::int[], $4::int[]) as p (instance_id, due, planned)
         where r.night_at = $1 and r.instance_id = p.instance_id`,
        [
          slotAt,
          plans.map(({ instanceId }) => instanceId),
          plans.map(({ due }) => due),
          plans.map(({ planned }) => planned),
        ],
      );
    }
    await client.query(
      `update avatars.resync_nights
       set prepared_at = clock_timestamp(), source_added = $2, source_gone = $3, source_rejected = $4, source_error = $5
       where slot_at = $1 and prepared_at is null`,
      [
        slotAt,
        source?.added,
        source?.gone,
        source?.rejected,
        source?.error === undefined ? null : toStorableText(source.error),
      ],
    );
  });
}
