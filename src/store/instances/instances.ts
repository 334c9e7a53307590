import { asc, eq, sql } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { waitBriefly } from "../postgres/brief-locks.ts";
import type { Database } from "../postgres/database.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { briefly, patiently, retryTransient } from "../postgres/retry-transient.ts";
import { contacts, instances } from "../schema.ts";
import { toStorableText } from "../postgres/storable-text.ts";

export interface InstanceChange {
  readonly id: InstanceId;
  readonly apiUrl: string;
  readonly sealedToken: string;
  /** Undefined leaves what is stored. */
  readonly label?: string | undefined;
  readonly requestsPerSecond?: number | undefined;
  readonly maxInFlight?: number | undefined;
}

/** What an {@link InstanceView} is made of. */
export const instanceColumns = {
  id: instances.id,
  apiUrl: instances.apiUrl,
  label: instances.label,
  requestsPerSecond: instances.requestsPerSecond,
  maxInFlight: instances.maxInFlight,
  resyncShare: instances.resyncShare,
  resyncDayShare: instances.resyncDayShare,
  state: instances.state,
  heldReason: instances.heldReason,
  heldSince: instances.heldSince,
  heldUntil: instances.heldUntil,
  stateSeen: instances.stateSeen,
  stateSeenAt: instances.stateSeenAt,
};

/** New credentials end a hold: its cause may have been the old ones. */
export const renewal = {
  state: sql`case when ${instances.state} = 'held' then 'active' else ${instances.state} end`,
  // The new ones are not proved yet: as after any hold.
  rampFrom: sql`case when ${instances.state} = 'held' then clock_timestamp() else ${instances.rampFrom} end`,
  heldReason: null,
  heldSince: null,
  // Trouble that calls with the old token still report is old news.
  heldUntil: sql`clock_timestamp()`,
  holdCount: 0,
  allowedChatIds: null,
} satisfies PgUpdateSetSource<typeof instances>;

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
    .onConflictDoUpdate({ target: instances.id, set: { apiUrl, sealedToken, ...settings, ...renewal } });
}

/** What makes a new instance. */
export interface NewInstance extends Omit<InstanceSettings, "apiUrl"> {
  readonly id: InstanceId;
  readonly apiUrl: string;
  readonly sealedToken: string;
}

/** Adds the instance. False: there is one with this id already, and it stays as it is. */
export async function addInstance({ orm }: Database, instance: NewInstance): Promise<boolean> {
  const { id, apiUrl, sealedToken, requestsPerSecond, maxInFlight, resyncShare, resyncDayShare } = instance;
  const label = toLabel(instance.label);
  const resync = { resyncShare, resyncDayShare };
  const added = await orm
    .insert(instances)
    .values({ id, apiUrl, sealedToken, label, requestsPerSecond, maxInFlight, ...resync })
    .onConflictDoNothing()
    .returning({ id: instances.id });
  return added.length > 0;
}

/** All instances, by id. */
export async function listInstances({ orm }: Database): Promise<InstanceView[]> {
  const rows = await orm.select(instanceColumns).from(instances).orderBy(asc(instances.id));
  return rows.map(toView);
}

export async function findInstance({ orm }: Database, id: InstanceId): Promise<InstanceView | undefined> {
  const [row] = await orm.select(instanceColumns).from(instances).where(eq(instances.id, id));
  return row && toView(row);
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
  /** The share of its calls that a resync may take within its window, and outside of it. Null: the defaults. */
  readonly resyncShare?: number | null | undefined;
  readonly resyncDayShare?: number | null | undefined;
}

/** As it is stored. */
export function toLabel(label: string | null | undefined): string | null | undefined {
  return typeof label === "string" ? toStorableText(label) : label;
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

export async function countContacts({ orm }: Database, id: InstanceId): Promise<number> {
  return orm.$count(contacts, eq(contacts.instanceId, id));
}

const removedAtOnce = 10_000;

const removeContactsSql = `
with gone as materialized (select id from avatars.contacts where instance_id = $1 limit ${removedAtOnce})
delete from avatars.contacts c using gone where c.id = gone.id`;

const removeMembersSql = `
delete from avatars.batch_members where ctid = any (array(
  select m.ctid from unnest($1::uuid[]) as b (id)
  cross join lateral (select ctid from avatars.batch_members where batch_id = b.id limit ${removedAtOnce}) m
  limit ${removedAtOnce}))`;

/**
 * Removes the instance with its contacts, their avatars and batches, in steps that commit: one that is stopped half
 * way is finished by the next. The instance is paused first. False where there is none.
 */
export async function removeInstance(database: Database, id: InstanceId): Promise<boolean> {
  const { pool } = database;
  await setPaused(database, id, true);
  // Whoever still adds contacts to it may meet us halfway: then one of us tries again.
  const step: Step = (statement, which) =>
    retryTransient(patiently, async () => removeSome(pool, statement, which));
  while (await step(removeContactsSql, id));
  await retryTransient(patiently, async () => removeBatches(pool, step, id));
  return retryTransient(patiently, async () => removeRest(pool, id));
}

/** Removes the instance unless it has contacts. False: it has, and stays as it is. True also where there is none. */
export async function removeEmptyInstance({ pool }: Database, id: InstanceId): Promise<boolean> {
  return retryTransient(briefly, async () =>
    inTransaction(pool, async (client) => {
      await waitBriefly(client);
      // As above: nobody adds a contact meanwhile.
      await client.query("select from avatars.instances where id = $1 for update", [id]);
      const { rowCount } = await client.query("select from avatars.contacts where instance_id = $1 limit 1", [
        id,
      ]);
      if (rowCount !== 0) return false;
      await removeBatches(client, async (statement, which) => removeSome(client, statement, which), id);
      await client.query("delete from avatars.instances where id = $1", [id]);
      return true;
    }),
  );
}

async function removeRest(pool: pg.Pool, id: InstanceId): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    // Waits for whoever is just adding a contact or a batch; whoever comes later waits for us, and finds no instance.
    const { rowCount } = await client.query("select from avatars.instances where id = $1 for update", [id]);
    if (!rowCount) return false;
    const step: Step = async (statement, which) => removeSome(client, statement, which);
    while (await step(removeContactsSql, id));
    await removeBatches(client, step, id);
    await client.query("delete from avatars.instances where id = $1", [id]);
    return true;
  });
}

type Connection = pg.Pool | pg.PoolClient;

/** Is there more to remove? */
type Step = (statement: string, which: string | string[]) => Promise<boolean>;

async function removeBatches(connection: Connection, step: Step, id: InstanceId): Promise<void> {
  for (;;) {
    const { rows } = await connection.query<{ id: string }>(
      "select id from avatars.batches where instance_id = $1 order by requested_at limit 1000",
      [id],
    );
    if (rows.length === 0) return;
    const batchIds = rows.map((row) => row.id);
    while (await step(removeMembersSql, batchIds));
    await connection.query("delete from avatars.batches where id = any ($1::uuid[])", [batchIds]);
  }
}

async function removeSome(
  connection: Connection,
  statement: string,
  which: string | string[],
): Promise<boolean> {
  const { rowCount } = await connection.query(statement, [which]);
  return rowCount === removedAtOnce;
}

export type Row = { [K in keyof typeof instanceColumns]: (typeof instances.$inferSelect)[K] };

export function toView(row: Row): InstanceView {
  return {
    id: row.id as InstanceId,
    apiUrl: row.apiUrl,
    label: row.label ?? undefined,
    requestsPerSecond: row.requestsPerSecond ?? undefined,
    maxInFlight: row.maxInFlight ?? undefined,
    resyncShare: row.resyncShare ?? undefined,
    resyncDayShare: row.resyncDayShare ?? undefined,
    state: row.state,
    heldReason: row.heldReason ?? undefined,
    heldSince: row.heldSince ?? undefined,
    heldUntil: row.state === "held" ? (row.heldUntil ?? undefined) : undefined,
    stateSeen: row.stateSeen ?? undefined,
    stateSeenAt: row.stateSeenAt ?? undefined,
  };
}
