import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  customType,
  doublePrecision,
  index,
  integer,
  json,
  jsonb,
  pgSchema,
  primaryKey,
  real,
  smallint,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";

/** All of the product's objects live here; BullMQ's, where it runs on PostgreSQL, in `bullmq`. */
export const avatarsSchema = pgSchema("avatars");

const moment = (name: string) => timestamp(name, { withTimezone: true });
const bytes = customType<{ data: Buffer }>({ dataType: () => "bytea" });

/** One GREEN-API instance: where it is, how fast it may be called, and whether it may be called now. */
export const instances = avatarsSchema.table(
  "instances",
  {
    /** GREEN-API's `idInstance`. */
    id: text().primaryKey(),
    apiUrl: text("api_url").notNull(),
    /** Sealed (lib/secrets/secret-box.ts): never in clear in the database. */
    sealedToken: text("sealed_token").notNull(),
    label: text(),
    /** Null: the setting's default. */
    requestsPerSecond: real("requests_per_second"),
    /** Null: derived from the rate. */
    maxInFlight: integer("max_in_flight"),
    state: text({ enum: ["active", "held", "paused"] })
      .notNull()
      .default("active"),
    heldReason: text("held_reason"),
    heldSince: moment("held_since"),
    /**
     * While `held`: nothing is claimed before this moment, then one contact at a time. Afterwards: trouble that a
     * call from before this moment reports is old news.
     */
    heldUntil: moment("held_until"),
    /** Holds in a row without a good answer in between; lengthens the next one. */
    holdCount: smallint("hold_count").notNull().default(0),
    /** While held for a spent quota of correspondents: the chats that may be asked all the same. */
    allowedChatIds: text("allowed_chat_ids").array(),
    /** What getStateInstance said last, and when. */
    stateSeen: text("state_seen"),
    stateSeenAt: moment("state_seen_at"),
    /** The next moment at which any process may call getStateInstance. */
    nextStateCallAt: moment("next_state_call_at").notNull().defaultNow(),
    /** Kept on top of each full second of calls; learned from refusals. Null: not called yet. */
    marginMs: real("margin_ms"),
    /** The share of the rate that is used since `slowed_at`, from where it recovers with time (store/work/pace-sql.ts). */
    slowdown: real().notNull().default(1),
    slowedAt: moment("slowed_at"),
    /** When the provider last refused a call for being over the rate; refusals in a row. */
    throttledAt: moment("throttled_at"),
    throttleCount: smallint("throttle_count").notNull().default(0),
    /** The provider said how long to wait: no call before this moment. */
    throttledUntil: moment("throttled_until"),
    /** When a hold ended: from one call a second then, doubling, to the full rate. */
    rampFrom: moment("ramp_from"),
    /** The end of the last reserved run of call slots: no call that is reserved later is sent before it. */
    nextCallAt: moment("next_call_at").notNull().defaultNow(),
    /** The lane that reserved last. Another lane keeps a gap to its slots. */
    pacedBy: uuid("paced_by"),
    /** How far the turns of each priority have come, by priority: where a new batch begins to share. */
    turns: bigint({ mode: "number" }).array().notNull().default([0, 0, 0]),
    /** The share of its calls that a resync may take within the window, and outside of it. Null: the setting's default. */
    resyncShare: doublePrecision("resync_share"),
    resyncDayShare: doublePrecision("resync_day_share"),
    createdAt: moment("created_at").notNull().defaultNow(),
  },
  (table) => [
    check("instances_resync_share_check", sql`${table.resyncShare} between 0 and 1`),
    check("instances_resync_day_share_check", sql`${table.resyncDayShare} between 0 and 1`),
    check("instances_state_check", sql`${table.state} in ('active', 'held', 'paused')`),
    check("instances_rate_check", sql`${table.requestsPerSecond} > 0`),
    check("instances_max_in_flight_check", sql`${table.maxInFlight} > 0`),
    check("instances_slowdown_check", sql`${table.slowdown} > 0 and ${table.slowdown} <= 1`),
    check("instances_margin_check", sql`${table.marginMs} >= 0`),
  ],
);

/**
 * The contact table is the schedule. A contact rests (`due_at` null), or is due from `due_at` on, or is
 * claimed until `claimed_until`, after which it is simply due again: no state needs a repair.
 */
export const contacts = avatarsSchema.table(
  "contacts",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    instanceId: text("instance_id")
      .notNull()
      .references(() => instances.id),
    /** Canonical: domain/chat-id.ts and the SQL function `avatars.canonical_chat_id` agree on it. */
    chatId: text("chat_id").notNull(),
    /** The CRM's own id. */
    externalRef: text("external_ref"),
    status: text({ enum: ["unknown", "present", "absent", "hidden", "invalid", "unreachable"] })
      .notNull()
      .default("unknown"),
    /** 0 interactive, 1 import, 2 resync. */
    priority: smallint().notNull().default(1),
    dueAt: moment("due_at"),
    /**
     * Its place among the contacts that wait for their first lookup: batches of one priority share by turns. Null for
     * those that rest, wait for a backoff, or come back from one: they go by `due_at`, before all turns.
     */
    turn: bigint({ mode: "number" }),
    /** The oldest request for this contact that has no answer yet; null when nobody waits. */
    wantedAt: moment("wanted_at"),
    /** Only an answer that was asked for at or after this moment satisfies all who wait. */
    freshAfter: moment("fresh_after"),
    /** Fence: the instance run that holds the claim. Only it may give up, put off or release the contact. */
    claimedBy: uuid("claimed_by"),
    claimedUntil: moment("claimed_until"),
    /** Calls spent on the contact since it was last asked for. */
    attempts: smallint().notNull().default(0),
    lastError: text("last_error"),
    /** When the call behind the current clear answer was sent. Fence: an older answer never replaces it. */
    checkedAt: moment("checked_at"),
    /** When a contact that rests is due again by the refresh policy. Null: not unless somebody asks. */
    refreshAt: moment("refresh_at"),
    /** What it is worth then: domain/refresh/refresh-step.ts. */
    refreshStep: smallint("refresh_step").notNull().default(-2),
    /** The resync run that has made it due; null once that has led to an answer, or to none. */
    resyncRunId: bigint("resync_run_id", { mode: "number" }),
    /** Is it in the list that the source query gave last? Null: it never was. */
    isListed: boolean("is_listed"),
    createdAt: moment("created_at").notNull().defaultNow(),
  },
  (table) => [
    // A resync walks it, step by step, no further than it takes contacts; those that are due or claimed are not in it.
    index("contacts_refresh_idx")
      .on(table.instanceId, table.refreshStep, table.refreshAt, table.id)
      .where(sql`${table.dueAt} is null and ${table.refreshAt} is not null`),
    // What a resync has made due and nobody has answered yet: at most some hundred per instance.
    index("contacts_resync_run_idx")
      .on(table.resyncRunId)
      .where(sql`${table.resyncRunId} is not null`),
    check("contacts_resync_run_check", sql`${table.resyncRunId} is null or ${table.dueAt} is not null`),
    unique("contacts_chat_key").on(table.instanceId, table.chatId),
    // The claim walks these two in order; resting contacts are in neither.
    index("contacts_due_idx")
      .on(table.instanceId, table.priority, table.dueAt, table.id)
      .where(sql`${table.dueAt} is not null and ${table.turn} is null`),
    index("contacts_turn_idx")
      .on(table.instanceId, table.priority, table.turn, table.id)
      .where(sql`${table.turn} is not null`),
    check(
      "contacts_status_check",
      sql`${table.status} in ('unknown', 'present', 'absent', 'hidden', 'invalid', 'unreachable')`,
    ),
    check("contacts_priority_check", sql`${table.priority} between 0 and 2`),
    check("contacts_claim_check", sql`(${table.claimedBy} is null) = (${table.claimedUntil} is null)`),
    check("contacts_turn_check", sql`${table.turn} is null or ${table.dueAt} is not null`),
    // Whoever is waited for is scheduled (I2).
    check("contacts_wanted_check", sql`${table.wantedAt} is null or ${table.dueAt} is not null`),
  ],
);

/** The last good avatar of each contact that ever had a clear answer about it (`present` or `absent`). */
export const avatars = avatarsSchema.table("avatars", {
  contactId: bigint("contact_id", { mode: "number" })
    .primaryKey()
    .references(() => contacts.id, { onDelete: "cascade" }),
  /** Null: no picture is set. */
  url: text(),
  urlExpiresAt: moment("url_expires_at"),
  /** The same for all URLs of one picture. Null: no picture is set. */
  version: text(),
  /** When the call behind the first clear answer was sent: the contact has been watched since then. */
  firstSeenAt: moment("first_seen_at").notNull().defaultNow(),
  /** How many of the answers since then differed from the one before. */
  changes: integer().notNull().default(0),
  /** When the call that first saw this picture was sent. */
  changedAt: moment("changed_at").notNull(),
  /** When the call that last saw it was sent. Fence: an older answer never replaces it. */
  seenAt: moment("seen_at").notNull(),
});

/** Append-only, written by a trigger on `avatars` whenever the version changes. */
export const avatarChanges = avatarsSchema.table(
  "avatar_changes",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    contactId: bigint("contact_id", { mode: "number" })
      .notNull()
      .references(() => contacts.id, { onDelete: "cascade" }),
    fromVersion: text("from_version"),
    toVersion: text("to_version"),
    /** When the call that saw the change was sent. */
    seenAt: moment("seen_at").notNull(),
  },
  // For the history of one contact, and for the cascade: without it each deleted contact reads the whole table.
  (table) => [index("avatar_changes_contact_idx").on(table.contactId)],
);

/** One bulk request. Its contacts are done when none of them waits for an answer to it. */
export const batches = avatarsSchema.table(
  "batches",
  {
    id: uuid().primaryKey().defaultRandom(),
    instanceId: text("instance_id")
      .notNull()
      .references(() => instances.id),
    /** Who asked: `file`, `sql`, `bullmq`, `api`, `refresh`. */
    source: text().notNull(),
    label: text(),
    priority: smallint().notNull().default(1),
    requestedAt: moment("requested_at").notNull().defaultNow(),
    /** requested_at − max_age: an answer asked for at or after it is fresh enough. */
    freshAfter: moment("fresh_after").notNull(),
    /** Null while contacts are still being taken in: visibly incomplete. */
    completedIntakeAt: moment("completed_intake_at"),
    /** Distinct contacts. */
    accepted: integer().notNull().default(0),
    duplicates: integer().notNull().default(0),
    rejected: integer().notNull().default(0),
    /** The last turn that was given to one of its contacts. */
    lastTurn: bigint("last_turn", { mode: "number" }).notNull().default(0),
    /** Where to tell that it is done. */
    callbackUrl: text("callback_url"),
    /** The API key that asked. No foreign key: keys come and go. */
    apiKeyId: text("api_key_id"),
    /** Nobody waits any more for those of its contacts that had no answer by then. */
    cancelledAt: moment("cancelled_at"),
    /** When it was first seen that nobody waits for its contacts any more; of a cancelled one: that all are given up. */
    finishedAt: moment("finished_at"),
    /** None of its contacts up to this id waits: they stay so until a retry, and need not be looked at again. */
    settledThrough: bigint("settled_through", { mode: "number" }).notNull().default(0),
  },
  (table) => [
    check("batches_priority_check", sql`${table.priority} between 0 and 2`),
    index("batches_instance_idx").on(table.instanceId, table.requestedAt, table.id),
    // Each refresh is a batch too: a list without them must not read past all of them.
    index("batches_listed_idx")
      .on(table.instanceId, table.requestedAt, table.id)
      .where(sql`${table.source} <> 'refresh'`),
    // The few that are not simply done: a cancellation asks who else waits, and somebody has to see when they end.
    index("batches_undone_idx")
      .on(table.instanceId, table.requestedAt, table.id)
      .where(sql`${table.finishedAt} is null or ${table.cancelledAt} is not null`),
    // For their retention.
    index("batches_finished_idx")
      .on(table.finishedAt)
      .where(sql`${table.finishedAt} is not null`),
  ],
);

/**
 * Which contacts a batch asked for, in the order of its input. Without foreign keys: their triggers took a third of
 * the time of an import. `avatars.accept` is its only writer, and who deletes a batch or a contact deletes its members.
 */
export const batchMembers = avatarsSchema.table(
  "batch_members",
  {
    batchId: uuid("batch_id").notNull(),
    contactId: bigint("contact_id", { mode: "number" }).notNull(),
    /** The line, or the index in the request, where the contact first stood. */
    position: bigint({ mode: "number" }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.batchId, table.contactId] })],
);

/**
 * What each worker process does for each instance, written every few seconds: only for people and metrics to read. A
 * row that was not written lately is of a process that is gone.
 */
export const workerActivity = avatarsSchema.table(
  "worker_activity",
  {
    processId: uuid("process_id").notNull(),
    instanceId: text("instance_id").notNull(),
    inFlight: integer("in_flight").notNull(),
    callsPerSecond: real("calls_per_second").notNull(),
    /** Answered in the last ten minutes, and those of them that were refused for being over the rate. */
    recentCalls: integer("recent_calls").notNull(),
    recentThrottled: integer("recent_throttled").notNull(),
    /** Mean time of an answer of late; null before the first one. */
    latencyMs: real("latency_ms"),
    reportedAt: moment("reported_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.processId, table.instanceId] })],
);

/**
 * Nights: the moments of the resync schedule that have come. A night that is in here has been opened, once, whatever number of
 * processes there are; the first row only says since when nights are counted.
 */
export const resyncNights = avatarsSchema.table("resync_nights", {
  /** The moment of the schedule. */
  slotAt: moment("slot_at").primaryKey(),
  openedAt: moment("opened_at").notNull().defaultNow(),
  /** When the source query had been run, where there is one, and its resync runs began. */
  preparedAt: moment("prepared_at"),
  /** What the source query brought: contacts that were new, and listed ones that are gone; null: it was not run. */
  sourceAdded: integer("source_added"),
  sourceGone: integer("source_gone"),
  sourceRejected: integer("source_rejected"),
  /** Why the source query brought nothing, or not all; of a fixed set of words. */
  sourceError: text("source_error"),
});

/**
 * A stretch of refreshing one instance: a night, what is due by day between two nights (`trickle`), or what a person has asked
 * for (`manual`). At most one of an instance is open; it survives all processes.
 */
export const resyncRuns = avatarsSchema.table(
  "resync_runs",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    instanceId: text("instance_id")
      .notNull()
      .references(() => instances.id, { onDelete: "cascade" }),
    kind: text({ enum: ["night", "trickle", "manual"] }).notNull(),
    /** Of a night. */
    nightAt: moment("night_at").references(() => resyncNights.slotAt, { onDelete: "cascade" }),
    openedAt: moment("opened_at").notNull().defaultNow(),
    /** A night that began within its window ends with it. Null: with the next night. */
    endsAt: moment("ends_at"),
    /** Only contacts that a person has asked for; only so many of them. */
    requestedOnly: boolean("requested_only").notNull().default(false),
    mostContacts: integer("most_contacts"),
    /** Contacts due when it was planned or until its end, and how many of them fit in. Null: not planned yet. */
    due: integer(),
    planned: integer(),
    /** Contacts that were made due, that have had their answer or none after all attempts, and answers with another avatar. */
    released: integer().notNull().default(0),
    asked: integer().notNull().default(0),
    changed: integer().notNull().default(0),
    /** Calls of the instance that were refused meanwhile for being over the rate. */
    throttled: integer().notNull().default(0),
    /** The moment from which the share allows the next contact. */
    nextReleaseAt: moment("next_release_at").notNull().defaultNow(),
    endedAt: moment("ended_at"),
    /** Why it stopped. */
    endedBy: text("ended_by"),
    /** Contacts that were due when it ended. */
    leftOver: integer("left_over"),
  },
  (table) => [
    uniqueIndex("resync_runs_open_key")
      .on(table.instanceId)
      .where(sql`${table.endedAt} is null`),
    unique("resync_runs_night_key").on(table.instanceId, table.nightAt),
    index("resync_runs_opened_idx").on(table.openedAt, table.id),
    // The last one of an instance, among years of nights.
    index("resync_runs_manual_idx")
      .on(table.instanceId, table.id)
      .where(sql`${table.kind} = 'manual'`),
    index("resync_runs_night_idx").on(table.nightAt),
  ],
);

/**
 * What could not be written to a contact because a transaction of another program holds its row (see
 * docs/lock-waits.md). Written without a lock on the contact; while a row is here the contact is not claimed. Nearly always empty.
 */
export const lookupsAside = avatarsSchema.table(
  "lookups_aside",
  {
    contactId: bigint("contact_id", { mode: "number" })
      .primaryKey()
      .references(() => contacts.id, { onDelete: "cascade" }),
    instanceId: text("instance_id").notNull(),
    /** The instance run that holds the claim. */
    runId: uuid("run_id").notNull(),
    /** The call is still in flight: its claim, which could not be extended in the contact's row. */
    claimedUntil: moment("claimed_until"),
    /** The finished lookup, as store/work/save-lookups.ts writes it. */
    record: json(),
    putAt: moment("put_at").notNull().defaultNow(),
  },
  (table) => [
    check("lookups_aside_record_check", sql`(${table.record} is null) = (${table.claimedUntil} is not null)`),
    index("lookups_aside_instance_idx").on(table.instanceId),
  ],
);

/**
 * Marks of chats that were erased, for the provider may name one again among those that a spent quota leaves: it is not kept then,
 * unless it is a contact again. Kept for longer than such a quota lasts (store/retention/remove-old-erasures.ts). Of another secret key they
 * tell nothing.
 */
export const erasedChats = avatarsSchema.table(
  "erased_chats",
  {
    instanceId: text("instance_id")
      .notNull()
      .references(() => instances.id, { onDelete: "cascade" }),
    /** Keyed (lib/secrets/chat-hash.ts): the id itself is in no table. */
    chatHash: text("chat_hash").notNull(),
    erasedAt: moment("erased_at").notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.instanceId, table.chatHash] }),
    // For their retention.
    index("erased_chats_erased_idx").on(table.erasedAt),
  ],
);

/** Always empty: a lock on the table makes the feed of changes final (store/changes/change-horizon.ts). */
export const changeGate = avatarsSchema.table("change_gate", {});

/** Names of locks that no role can take that has no rights on tables (store/postgres/gates.ts). */
export const gates = avatarsSchema.table("gates", { name: text().primaryKey() });

/** Who may use the HTTP API. The secret itself is nowhere but with its owner. */
export const apiKeys = avatarsSchema.table("api_keys", {
  /** Public: the part of the token before the dot. */
  id: text().primaryKey(),
  label: text(),
  scopes: text().array().notNull(),
  /** Null: all instances, also those to come. No foreign key: one that is removed is simply not found. */
  instanceIds: text("instance_ids").array(),
  /** HMAC-SHA256, keyed by the installation's secret key. */
  secretHmac: bytes("secret_hmac").notNull(),
  createdAt: moment("created_at").notNull().defaultNow(),
  expiresAt: moment("expires_at"),
  revokedAt: moment("revoked_at"),
  lastUsedAt: moment("last_used_at"),
});

/**
 * What was answered to a request that came with an `Idempotency-Key`, for a day. That a request is still at work is an
 * advisory lock, and nothing here: it ends with its process.
 */
export const idempotencyKeys = avatarsSchema.table(
  "idempotency_keys",
  {
    apiKeyId: text("api_key_id").notNull(),
    key: text().notNull(),
    /** Of the request and all of its body. Null: a stream that has not been read to its end. */
    fingerprint: text(),
    batchId: uuid("batch_id").notNull(),
    /**
     * Without chat ids, so that an erased contact is not kept here: the body in hand has them. Of a stream that has not been
     * read to its end: the digest of its parameters.
     */
    answer: jsonb(),
    createdAt: moment("created_at").notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.apiKeyId, table.key] }),
    index("idempotency_keys_created_idx").on(table.createdAt),
  ],
);
