import { asc, eq, inArray, sql } from "drizzle-orm";
import type { InstanceId } from "../domain/instance-id.ts";
import type { InstanceView } from "../domain/ledger.ts";
import type { Database } from "./database.ts";
import { batches, batchMembers, contacts, instances } from "./schema.ts";

export interface InstanceChange {
  readonly id: InstanceId;
  readonly apiUrl: string;
  readonly sealedToken: string;
  /** Undefined leaves what is stored. */
  readonly label?: string | undefined;
  readonly requestsPerSecond?: number | undefined;
  readonly maxInFlight?: number | undefined;
}

const view = {
  id: instances.id,
  apiUrl: instances.apiUrl,
  label: instances.label,
  requestsPerSecond: instances.requestsPerSecond,
  maxInFlight: instances.maxInFlight,
  state: instances.state,
  heldReason: instances.heldReason,
  heldSince: instances.heldSince,
  heldUntil: instances.heldUntil,
  stateSeen: instances.stateSeen,
  stateSeenAt: instances.stateSeenAt,
};

/** Adds the instance, or gives a known one its new URL and token and ends its hold. */
export async function putInstance({ orm }: Database, change: InstanceChange): Promise<void> {
  const { id, apiUrl, sealedToken } = change;
  const settings = {
    ...(change.label !== undefined && { label: change.label }),
    ...(change.requestsPerSecond !== undefined && { requestsPerSecond: change.requestsPerSecond }),
    ...(change.maxInFlight !== undefined && { maxInFlight: change.maxInFlight }),
  };
  await orm
    .insert(instances)
    .values({ id, apiUrl, sealedToken, ...settings })
    .onConflictDoUpdate({
      target: instances.id,
      set: {
        apiUrl,
        sealedToken,
        ...settings,
        state: sql`case when ${instances.state} = 'held' then 'active' else ${instances.state} end`,
        // The new ones are not proved yet: as after any hold.
        rampFrom: sql`case when ${instances.state} = 'held' then clock_timestamp() else ${instances.rampFrom} end`,
        heldReason: null,
        heldSince: null,
        // Trouble that calls with the old token still report is old news.
        heldUntil: sql`clock_timestamp()`,
        holdCount: 0,
        allowedChatIds: null,
      },
    });
}

/** All instances, by id. */
export async function listInstances({ orm }: Database): Promise<InstanceView[]> {
  const rows = await orm.select(view).from(instances).orderBy(asc(instances.id));
  return rows.map(toView);
}

export async function findInstance({ orm }: Database, id: InstanceId): Promise<InstanceView | undefined> {
  const [row] = await orm.select(view).from(instances).where(eq(instances.id, id));
  return row && toView(row);
}

export async function findSealedToken({ orm }: Database, id: InstanceId): Promise<string | undefined> {
  const [row] = await orm
    .select({ sealedToken: instances.sealedToken })
    .from(instances)
    .where(eq(instances.id, id));
  return row?.sealedToken;
}

/** The settings of an instance that a person may change while it is worked on. */
export interface InstanceSettings {
  readonly apiUrl?: string | undefined;
  /** Null: none. */
  readonly label?: string | null | undefined;
  /** Null: the default. */
  readonly requestsPerSecond?: number | null | undefined;
  /** Null: from the rate and the time that answers take. */
  readonly maxInFlight?: number | null | undefined;
}

/** Changes what is given, from the next claim on. Returns the instance as it was and as it is. */
export async function updateInstance(
  { orm }: Database,
  id: InstanceId,
  settings: InstanceSettings,
): Promise<{ before: InstanceView; after: InstanceView } | undefined> {
  return orm.transaction(async (transaction) => {
    const [before] = await transaction
      .select(view)
      .from(instances)
      .where(eq(instances.id, id))
      .for("no key update");
    const [after] = await transaction
      .update(instances)
      .set(settings)
      .where(eq(instances.id, id))
      .returning(view);
    return before && after && { before: toView(before), after: toView(after) };
  });
}

/** What calls from before a pause report is old news, whatever it is; `hold_count` remembers that the pause ended a hold. */
const pauseSql = `
with before as materialized (select id, state from avatars.instances where id = $1 for no key update)
update avatars.instances i
set state = 'paused', held_reason = null, held_since = null, held_until = clock_timestamp(), allowed_chat_ids = null
from before b where i.id = b.id
returning b.state`;

/** Nothing has proved yet that an instance works that was held before its pause: as after any hold. */
const resumeSql = `
with before as materialized (
  select id, state, state = 'paused' as is_paused, throttled_until > clock_timestamp() as is_throttled
  from avatars.instances where id = $1 for no key update
)
update avatars.instances i
set state = case when b.is_paused then 'active' else i.state end,
  held_until = case when b.is_paused then clock_timestamp() else i.held_until end,
  ramp_from = case when b.is_paused and i.hold_count > 0 then clock_timestamp() else i.ramp_from end,
  hold_count = case when b.is_paused then 0 else i.hold_count end,
  throttled_until = null
from before b where i.id = b.id
returning case when b.state = 'active' and b.is_throttled then 'throttled' else b.state end as state`;

/** `throttled`: active, and the provider had said how long to wait. */
export type StateBefore = InstanceView["state"] | "throttled";

/**
 * Pauses the instance, which ends a hold: it stays so until a person resumes it, and claims are refused from now on. Or
 * resumes a paused one, and one that waits because the provider said so; a hold is left as it is. Returns the state before;
 * undefined where there is no such instance.
 */
export async function setPaused(
  { pool }: Database,
  id: InstanceId,
  paused: boolean,
): Promise<StateBefore | undefined> {
  const { rows } = await pool.query<{ state: StateBefore }>(paused ? pauseSql : resumeSql, [id]);
  return rows[0]?.state;
}

/** The sealed tokens, to check a key against. */
export async function listSealedTokens({ orm }: Database): Promise<{ id: string; sealedToken: string }[]> {
  return orm.select({ id: instances.id, sealedToken: instances.sealedToken }).from(instances);
}

export async function countContacts({ orm }: Database, id: InstanceId): Promise<number> {
  return orm.$count(contacts, eq(contacts.instanceId, id));
}

const removedAtOnce = 10_000;

/**
 * Removes the instance with its contacts, their avatars and batches, in steps that commit: one that is stopped half
 * way is finished by the next. The instance is paused first. False where there is none.
 */
export async function removeInstance(database: Database, id: InstanceId): Promise<boolean> {
  const { orm, pool } = database;
  await setPaused(database, id, true);
  for (;;) {
    const { rowCount } = await pool.query(
      `with gone as materialized (select id from avatars.contacts where instance_id = $1 limit ${removedAtOnce})
       delete from avatars.contacts c using gone where c.id = gone.id`,
      [id],
    );
    if (!rowCount) break;
  }
  const batchIds = orm.select({ id: batches.id }).from(batches).where(eq(batches.instanceId, id));
  await orm.delete(batchMembers).where(inArray(batchMembers.batchId, batchIds));
  await orm.delete(batches).where(eq(batches.instanceId, id));
  const removed = await orm.delete(instances).where(eq(instances.id, id)).returning({ id: instances.id });
  return removed.length > 0;
}

type Row = { [K in keyof typeof view]: (typeof instances.$inferSelect)[K] };

function toView(row: Row): InstanceView {
  return {
    id: row.id as InstanceId,
    apiUrl: row.apiUrl,
    label: row.label ?? undefined,
    requestsPerSecond: row.requestsPerSecond ?? undefined,
    maxInFlight: row.maxInFlight ?? undefined,
    state: row.state,
    heldReason: row.heldReason ?? undefined,
    heldSince: row.heldSince ?? undefined,
    heldUntil: row.state === "held" ? (row.heldUntil ?? undefined) : undefined,
    stateSeen: row.stateSeen ?? undefined,
    stateSeenAt: row.stateSeenAt ?? undefined,
  };
}
