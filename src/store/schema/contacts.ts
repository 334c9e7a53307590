import { sql } from "drizzle-orm";
import { bigint, boolean, check, index, smallint, text, unique } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";
import { instances } from "./instances.ts";

/**
 * The contact table is the schedule. A contact rests (`due_at` null), or is due from `due_at` on. Which due ones are being
 * asked is known to the process that holds the lease of their instance. Where that process dies they are simply due.
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
     * The contact's place among those that wait for their first lookup: batches of one priority share by turns. Null where it
     * rests, and in a backoff and after it: then it goes by `due_at`, before all turns.
     */
    turn: bigint({ mode: "number" }),
    /** The oldest request for this contact that has no answer yet; null: no batch waits. */
    wantedAt: moment("wanted_at"),
    /** An answer that was asked for at or after this moment satisfies all who wait, and no older one does. */
    freshAfter: moment("fresh_after"),
    /** The lease under which a call was in flight when it was handed over. That call's record may still be saved. */
    inFlightEpoch: bigint("in_flight_epoch", { mode: "number" }),
    /** Until then no later lease asks for the contact. */
    inFlightUntil: moment("in_flight_until"),
    /** Calls spent on the contact since it was last asked for. */
    attempts: smallint().notNull().default(0),
    lastError: text("last_error"),
    /** When the call behind the current clear answer was sent. Fence: an older answer never replaces it. */
    checkedAt: moment("checked_at"),
    /** When a contact that rests is due again by the refresh policy. Null: not before a request comes. */
    refreshAt: moment("refresh_at"),
    /** The worth of a refresh then, or its cause where it is below 0: domain/refresh/refresh-step.ts. */
    refreshStep: smallint("refresh_step").notNull().default(-2),
    /** The resync run that has made it due; null once that has led to an answer, or to none. */
    resyncRunId: bigint("resync_run_id", { mode: "number" }),
    /** Is it in the list that the source query gave last? Null: it never was. */
    isListed: boolean("is_listed"),
    createdAt: moment("created_at").notNull().defaultNow(),
  },
  (table) => [
    // A resync walks it, step by step, no further than it takes contacts. Due ones are not in it.
    index("contacts_refresh_idx")
      .on(table.instanceId, table.refreshStep, table.refreshAt, table.id)
      .where(sql`${table.dueAt} is null and ${table.refreshAt} is not null`),
    // Contacts that a resync has made due and that have no answer yet: at most some hundred per instance.
    index("contacts_resync_run_idx")
      .on(table.resyncRunId)
      .where(sql`${table.resyncRunId} is not null`),
    check("contacts_resync_run_check", sql`${table.resyncRunId} is null or ${table.dueAt} is not null`),
    unique("contacts_chat_key").on(table.instanceId, table.chatId),
    // The holder of a lease reads these two in order, each from where it is; resting contacts are in neither.
    index("contacts_due_idx")
      .on(table.instanceId, table.priority, table.dueAt, table.id)
      .where(sql`${table.dueAt} is not null and ${table.turn} is null`),
    index("contacts_turn_idx")
      .on(table.instanceId, table.priority, table.turn, table.id)
      .where(sql`${table.turn} is not null`),
    // While the users of an instance time out its other chats are asked: few among many, and nothing for a user to write.
    index("contacts_no_user_idx")
      .on(table.instanceId, table.priority, table.dueAt, table.id)
      .where(sql`${table.dueAt} is not null and right(${table.chatId}, 5) <> '@c.us'`),
    // Lists of contacts without an answer; those with one are in contact-statuses.ts. An answer leaves nothing in it.
    index("contacts_unknown_idx")
      .on(table.instanceId, table.id)
      .where(sql`${table.status} = 'unknown'`),
    check(
      "contacts_status_check",
      sql`${table.status} in ('unknown', 'present', 'absent', 'hidden', 'invalid', 'unreachable')`,
    ),
    check("contacts_priority_check", sql`${table.priority} between 0 and 2`),
    check(
      "contacts_in_flight_check",
      sql`(${table.inFlightEpoch} is null) = (${table.inFlightUntil} is null)`,
    ),
    check("contacts_turn_check", sql`${table.turn} is null or ${table.dueAt} is not null`),
    // A contact that is waited for is scheduled (I2).
    check("contacts_wanted_check", sql`${table.wantedAt} is null or ${table.dueAt} is not null`),
  ],
);
