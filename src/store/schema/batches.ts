import { sql } from "drizzle-orm";
import { bigint, check, index, integer, primaryKey, smallint, text, uuid } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";
import { instances } from "./instances.ts";

/** A bulk request. It is done when none of its contacts waits for an answer to it. */
export const batches = avatarsSchema.table(
  "batches",
  {
    id: uuid().primaryKey().defaultRandom(),
    instanceId: text("instance_id")
      .notNull()
      .references(() => instances.id),
    /** The way in: `file`, `sql`, `bullmq`, `api`, `refresh`. */
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
    /** Contacts that had no answer by then are not waited for any more. */
    cancelledAt: moment("cancelled_at"),
    /** When it was first seen that none of its contacts waits; of a cancelled batch: that all are given up. */
    finishedAt: moment("finished_at"),
    /** Since when its members are being removed, in steps that commit: no reader is shown what is left of it. */
    removingAt: moment("removing_at"),
    /** A watermark: contacts up to this id do not wait, stay so until a retry, and need no second look. */
    settledThrough: bigint("settled_through", { mode: "number" }).notNull().default(0),
  },
  (table) => [
    check("batches_priority_check", sql`${table.priority} between 0 and 2`),
    index("batches_instance_idx").on(table.instanceId, table.requestedAt, table.id),
    // A refresh is a batch too: a list without refreshes must not read past all of them.
    index("batches_listed_idx")
      .on(table.instanceId, table.requestedAt, table.id)
      .where(sql`${table.source} <> 'refresh'`),
    // The few batches that are not simply done: cancellations look for others that wait, and workers for those that end.
    index("batches_undone_idx")
      .on(table.instanceId, table.requestedAt, table.id)
      .where(sql`${table.finishedAt} is null or ${table.cancelledAt} is not null`),
    // Retention walks it.
    index("batches_finished_idx")
      .on(table.finishedAt)
      .where(sql`${table.finishedAt} is not null`),
    // Retention goes on with these first. Nearly always empty.
    index("batches_removing_idx")
      .on(table.removingAt)
      .where(sql`${table.removingAt} is not null`),
    // A batch that is being removed is over: the statements that look for open batches need not know of removals.
    check("batches_removing_check", sql`${table.removingAt} is null or ${table.finishedAt} is not null`),
  ],
);

/**
 * The contacts that a batch asked for, in the order of its input. Foreign keys are left out: their triggers took a third of
 * the time of an import. `avatars.accept` is the only writer; statements that delete a batch or a contact delete its members.
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
