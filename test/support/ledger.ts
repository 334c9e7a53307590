import { randomUUID } from "node:crypto";
import type pg from "pg";
import type { ChatId } from "../../src/domain/chat-id.ts";
import { priorities, type QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { TakenLease } from "../../src/domain/ledger/lease.ts";
import type { LookupRecord } from "../../src/domain/ledger/lookup-record.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import type { ContactStatus } from "../../src/domain/contact-status.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { createChatHash } from "../../src/lib/secrets/chat-hash.ts";
import { acceptChunk, createBatch, finishIntake } from "../../src/store/accept/accept-chunk.ts";
import type { NewBatch } from "../../src/domain/requests/batch-request.ts";
import { putInstance } from "../../src/store/instances/instances.ts";
import type { LedgerSettings } from "../../src/store/work/run-ledger.ts";
import type { TestDatabase } from "./test-database.ts";

export const hashErased = createChatHash(Buffer.alloc(32, 7), "erased chats");

export const paceSettings: LedgerSettings = {
  requestsPerSecond: 10,
  inFlightMs: 90_000,
  hashErased,
  keepsImages: false,
};

let instances = 0;

/** A new instance, so that tests of one file do not meet. */
export async function addInstance(
  database: TestDatabase,
  settings: { readonly requestsPerSecond?: number; readonly maxInFlight?: number } = {},
): Promise<InstanceId> {
  instances += 1;
  const id = String(1_101_000_000 + instances) as InstanceId;
  await putInstance(database, { id, apiUrl: "http://127.0.0.1:9", sealedToken: "sealed", ...settings });
  return id;
}

/** `79000000001@c.us` and so on. */
export function toChatId(index: number): ChatId {
  return `${79_000_000_000 + index}@c.us` as ChatId;
}

/** Opens a batch, takes the contacts in, and closes its intake. Returns its id. */
export async function acceptContacts(
  pool: pg.Pool,
  instanceId: InstanceId,
  chatIds: readonly ChatId[],
  batch: Partial<NewBatch> = {},
): Promise<string> {
  const batchId = await createBatch(pool, {
    instanceId,
    source: "test",
    label: undefined,
    priority: 1,
    maxAgeMs: 0,
    ...batch,
  });
  const chunk = chatIds.map((chatId, position) => ({ chatId, externalRef: undefined, position }));
  if (chunk.length > 0) await acceptChunk(pool, batchId, chunk);
  await finishIntake(pool, batchId, { contacts: chatIds.length, rejected: 0 });
  return batchId;
}

export interface ContactState {
  readonly id: number;
  readonly chat_id: string;
  readonly external_ref: string | null;
  readonly status: ContactStatus;
  readonly priority: number;
  readonly due_at: Date | null;
  readonly wanted_at: Date | null;
  readonly fresh_after: Date | null;
  readonly in_flight_epoch: string | null;
  readonly in_flight_until: Date | null;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly checked_at: Date | null;
  /** Is it due now, and asked for by no earlier lease? */
  readonly is_due: boolean;
  readonly url: string | null;
  readonly url_expires_at: Date | null;
  readonly version: string | null;
  readonly changed_at: Date | null;
  readonly seen_at: Date | null;
  /** `from>to` of each recorded change, oldest first. */
  readonly changes: string[];
}

/** The instance's contacts with their avatars, in the order in which they came in. */
export async function readContacts(pool: pg.Pool, instanceId: InstanceId): Promise<ContactState[]> {
  const { rows } = await pool.query<ContactState>(
    `select c.*, c.id::int as id, a.url, a.url_expires_at, a.version, a.changed_at, a.seen_at,
       coalesce(c.due_at <= clock_timestamp() and (c.in_flight_until is null or c.in_flight_until <= clock_timestamp()), false)
         as is_due,
       array(select concat(h.from_version, '>', h.to_version) from avatars.avatar_changes h
         where h.contact_id = c.id order by h.id) as changes
     from avatars.contacts c left join avatars.avatars a on a.contact_id = c.id
     where c.instance_id = $1 order by c.id`,
    [instanceId],
  );
  return rows;
}

/** The only contact of the instance. */
export async function readContact(pool: pg.Pool, instanceId: InstanceId): Promise<ContactState> {
  const [contact, ...others] = await readContacts(pool, instanceId);
  if (contact === undefined || others.length > 0) throw new Error(`${others.length + 1} contacts`);
  return contact;
}

/** A lease, and due contacts in the order in which a run asks for them. */
export interface Asked extends TakenLease {
  readonly owner: string;
  readonly contacts: readonly QueuedContact[];
}

/** The due contacts of an instance, in the order in which a run asks for them: by priority, retries before turns. */
export async function readAllDue(
  ledger: RunLedger,
  instanceId: InstanceId,
  limit = 1_000,
): Promise<QueuedContact[]> {
  const after = { by: -1, contactId: 0 };
  const requests = priorities.flatMap((priority) =>
    [false, true].map((isTurned) => ({ instanceId, priority, isTurned, after, limit })),
  );
  return (await ledger.readDue(requests)).flat().slice(0, limit);
}

/** Takes the lease of an instance and reads up to `limit` due contacts; fails where it may not be called. */
export async function ask(
  ledger: RunLedger,
  instanceId: InstanceId,
  options: { readonly limit?: number; readonly owner?: string } = {},
): Promise<Asked> {
  const { limit = 1_000, owner = randomUUID() } = options;
  const lease = await ledger.takeLease(instanceId, owner);
  if (lease.kind !== "taken") throw new Error(`no lease: ${lease.kind}`);
  return { ...lease, owner, contacts: await readAllDue(ledger, instanceId, limit) };
}

/** Gives a lease back, with these contacts in flight. */
export async function giveBack(
  ledger: RunLedger,
  instanceId: InstanceId,
  { owner, epoch }: Pick<Asked, "owner" | "epoch">,
  inFlight: readonly number[] = [],
): Promise<void> {
  const left = { nextCallInMs: 0, recentAgesMs: [], calls: 0, turns: [0, 0, 0] as const };
  await ledger.handOver(owner, { instanceId, epoch, ...left, inFlight });
}

/** The database's clock, ms. */
export async function readDatabaseNow(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ now: number }>(
    "select extract(epoch from clock_timestamp())::float8 * 1000 as now",
  );
  return rows[0]?.now ?? Number.NaN;
}

export const present = (version: string, query = "oe=1"): ContactDecision => ({
  kind: "answer",
  status: "present",
  avatar: {
    kind: "seen",
    url: `https://pps.whatsapp.net${version}?${query}`,
    urlExpiresAt: new Date("2027-01-01T00:00:00Z"),
    version,
  },
  note: undefined,
});
export const absent: ContactDecision = {
  kind: "answer",
  status: "absent",
  avatar: { kind: "none" },
  note: undefined,
};
export const hidden: ContactDecision = {
  kind: "answer",
  status: "hidden",
  avatar: { kind: "keep" },
  note: "not told",
};
export const invalid: ContactDecision = {
  kind: "answer",
  status: "invalid",
  avatar: { kind: "keep" },
  note: "not accepted",
};
export const retry: ContactDecision = { kind: "retry", dueInMs: 60_000, error: "no answer" };
export const giveUp: ContactDecision = { kind: "give-up", error: "no answer, five times" };
export const release: ContactDecision = { kind: "release", error: "instance held" };

export function toRecord(
  contactId: number,
  epoch: number,
  askedAtMs: number,
  decision: ContactDecision,
): LookupRecord {
  return {
    contactId,
    instanceId: "1101000001" as InstanceId,
    epoch,
    askedAtMs,
    decision,
    refresh: undefined,
  };
}

/** Contacts that are not in lists as what they are; all have gone well where there is none. */
export async function readWronglyListed(pool: pg.Pool): Promise<unknown[]> {
  const { rows } = await pool.query<Record<string, unknown>>(
    `select c.id, c.status, s.instance_id, s.status as listed
     from (select * from avatars.contacts where status <> 'unknown') c
     full join avatars.contact_statuses s on s.contact_id = c.id
     where (c.instance_id, c.status) is distinct from (s.instance_id, s.status)`,
  );
  return rows;
}
