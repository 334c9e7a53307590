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
        heldReason: null,
        heldSince: null,
        // Trouble that calls with the old token still report is old news.
        heldUntil: sql`clock_timestamp()`,
        holdCount: 0,
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

/** Paused by a person: stays so until a person resumes it. */
export async function setPaused({ orm }: Database, id: InstanceId, paused: boolean): Promise<void> {
  const state = paused ? "paused" : "active";
  const noHold = { heldReason: null, heldSince: null, heldUntil: null, holdCount: 0 };
  await orm
    .update(instances)
    .set({ state, ...noHold })
    .where(eq(instances.id, id));
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
  };
}
