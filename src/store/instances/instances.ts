import { asc, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import type { Actor, AuditEntry } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { formatQuietHours } from "../../domain/care/care.ts";
import { toCareView } from "../../domain/care/care-view.ts";
import type { CareSettings, InstanceSettings, InstanceView } from "../../domain/views/instance-view.ts";
import { recordAudit } from "../audit/record-audit.ts";
import type { Database } from "../postgres/database.ts";
import { inTransaction } from "../postgres/in-transaction.ts";
import { contacts } from "../schema/contacts.ts";
import { instances } from "../schema/instances.ts";
import { toStorableText } from "../postgres/storable-text.ts";

export interface InstanceChange extends CareSettings {
  readonly id: InstanceId;
  readonly apiUrl: string;
  readonly sealedToken: string;
  /** Undefined leaves what is stored. */
  readonly label?: string | undefined;
  readonly requestsPerSecond?: number | undefined;
  readonly maxInFlight?: number | undefined;
}

/** The columns that an {@link InstanceView} is made of. */
export const instanceColumns = {
  id: instances.id,
  apiUrl: instances.apiUrl,
  label: instances.label,
  requestsPerSecond: instances.requestsPerSecond,
  maxInFlight: instances.maxInFlight,
  resyncShare: instances.resyncShare,
  resyncDayShare: instances.resyncDayShare,
  callsPerDay: instances.callsPerDay,
  callsToday: sql<number | null>`case when ${instances.callsPerDay} is not null then case
    when ${instances.callsDay} = avatars.day_to_count(clock_timestamp(), ${instances.timeZone}, ${instances.callsDay})
    then ${instances.callsToday} else 0 end end`,
  quietFrom: instances.quietFrom,
  quietUntil: instances.quietUntil,
  quietInteractive: instances.quietInteractive,
  timeZone: instances.timeZone,
  state: instances.state,
  heldReason: instances.heldReason,
  heldSince: instances.heldSince,
  heldUntil: instances.heldUntil,
  stateSeen: instances.stateSeen,
  stateSeenAt: instances.stateSeenAt,
  hookSetAt: instances.hookSetAt,
};

/**
 * New credentials put a hold to the test at once, since its cause may have been the old ones. They are not proved yet: the hold
 * ends with the first good answer.
 */
export const renewal = {
  // Trouble that calls with the old credentials still report is old news.
  heldUntil: sql`clock_timestamp()`,
  // One that is not mended by them is probed as often as a new one.
  holdCount: sql`least(${instances.holdCount}, 1)`,
} satisfies PgUpdateSetSource<typeof instances>;

/**
 * Adds the instance, or gives a known one its new URL and token and puts its hold to the test.
 * @param by undefined: the product itself
 */
export async function putInstance({ pool }: Database, change: InstanceChange, by?: Actor): Promise<void> {
  const { id, apiUrl, sealedToken } = change;
  const settings = {
    ...(change.label !== undefined && { label: change.label }),
    ...(change.requestsPerSecond !== undefined && { requestsPerSecond: change.requestsPerSecond }),
    ...(change.maxInFlight !== undefined && { maxInFlight: change.maxInFlight }),
    ...toCareColumns(change),
  };
  await inTransaction(pool, async (client) => {
    const [row] = await drizzle(client)
      .insert(instances)
      .values({ id, apiUrl, sealedToken, ...settings })
      .onConflictDoUpdate({ target: instances.id, set: { apiUrl, sealedToken, ...settings, ...renewal } })
      .returning({ isNew: sql<boolean>`xmax = 0` });
    await recordAudit(client, by, {
      ...toAdditionEntry({ ...settings, id, apiUrl }),
      ...(!row?.isNew && { action: "instance.changed" }),
    });
  });
}

/** What an instance was added with, or given anew: all but its token. */
function toAdditionEntry({
  id,
  apiUrl,
  requestsPerSecond,
  maxInFlight,
  callsPerDay,
  quietHours,
  quietInteractive,
  timeZone,
}: Omit<InstanceChange, "sealedToken"> | Omit<NewInstance, "sealedToken">): AuditEntry {
  const detail = {
    apiUrl,
    ...(requestsPerSecond != null && { requestsPerSecond }),
    ...(maxInFlight != null && { maxInFlight }),
    ...(callsPerDay != null && { callsPerDay }),
    ...(quietHours != null && { quietHours: formatQuietHours(quietHours) }),
    ...(quietInteractive != null && { quietInteractive }),
    ...(timeZone != null && { timeZone }),
    credentials: "new",
  };
  return { action: "instance.added", subjectId: id, instanceId: id, detail };
}

/** A new instance, with its settings. */
export interface NewInstance extends Omit<InstanceSettings, "apiUrl"> {
  readonly id: InstanceId;
  readonly apiUrl: string;
  readonly sealedToken: string;
}

/**
 * Adds the instance. False: there is one with this id already, and it stays as it is.
 * @param by undefined: the product itself
 */
export async function addInstance({ pool }: Database, instance: NewInstance, by?: Actor): Promise<boolean> {
  const { id, apiUrl, sealedToken, requestsPerSecond, maxInFlight, resyncShare, resyncDayShare } = instance;
  const label = toLabel(instance.label);
  const resync = { resyncShare, resyncDayShare };
  const care = toCareColumns(instance);
  return inTransaction(pool, async (client) => {
    const added = await drizzle(client)
      .insert(instances)
      .values({ id, apiUrl, sealedToken, label, requestsPerSecond, maxInFlight, ...resync, ...care })
      .onConflictDoNothing()
      .returning({ id: instances.id });
    if (added.length === 0) return false;
    await recordAudit(client, by, toAdditionEntry(instance));
    return true;
  });
}

/** The columns of these settings; undefined leaves what is stored. */
export function toCareColumns({ callsPerDay, quietHours, quietInteractive, timeZone }: CareSettings) {
  return {
    callsPerDay,
    quietFrom: quietHours === null ? null : quietHours?.from,
    quietUntil: quietHours === null ? null : quietHours?.until,
    quietInteractive,
    timeZone,
  };
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

/** The label as it is stored. */
export function toLabel(label: string | null | undefined): string | null | undefined {
  return typeof label === "string" ? toStorableText(label) : label;
}

export async function countContacts({ orm }: Database, id: InstanceId): Promise<number> {
  return orm.$count(contacts, eq(contacts.instanceId, id));
}

export type Row = Pick<typeof instances.$inferSelect, keyof typeof instanceColumns>;

export function toView(row: Row): InstanceView {
  return {
    id: row.id as InstanceId,
    apiUrl: row.apiUrl,
    label: row.label ?? undefined,
    requestsPerSecond: row.requestsPerSecond ?? undefined,
    maxInFlight: row.maxInFlight ?? undefined,
    resyncShare: row.resyncShare ?? undefined,
    resyncDayShare: row.resyncDayShare ?? undefined,
    ...toCareView(row),
    state: row.state,
    heldReason: row.heldReason ?? undefined,
    heldSince: row.heldSince ?? undefined,
    heldUntil: row.state === "held" ? (row.heldUntil ?? undefined) : undefined,
    stateSeen: row.stateSeen ?? undefined,
    stateSeenAt: row.stateSeenAt ?? undefined,
    hookSetAt: row.hookSetAt ?? undefined,
  };
}
