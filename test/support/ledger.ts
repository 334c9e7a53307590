import { randomUUID } from "node:crypto";
import type pg from "pg";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { Claim } from "../../src/domain/lookup/claim.ts";
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
  oldestShare: 0,
  random: () => 0,
  claimLeaseMs: 30_000,
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
  readonly claimed_by: string | null;
  readonly claimed_until: Date | null;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly checked_at: Date | null;
  /** Is it due now, and unclaimed? */
  readonly claimable: boolean;
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
       coalesce(c.due_at <= clock_timestamp() and (c.claimed_until is null or c.claimed_until <= clock_timestamp()), false)
         as claimable,
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

/** Claims up to `limit` contacts for a run, and fails where nothing may be claimed. */
export async function claim(
  ledger: RunLedger,
  instanceId: InstanceId,
  options: { readonly limit?: number; readonly laneId?: string } = {},
): Promise<Claim & { readonly runId: string }> {
  const runId = randomUUID();
  const { limit = 1_000, laneId = randomUUID() } = options;
  const result = await ledger.claimDueContacts({ instanceId, runId, laneId, limit });
  if (result.kind !== "claimed") throw new Error(`not claimed: ${result.kind}`);
  return { ...result.claim, runId };
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
  runId: string,
  askedAtMs: number,
  decision: ContactDecision,
): LookupRecord {
  return { contactId, runId, askedAtMs, decision, refresh: undefined };
}
