import { sql } from "drizzle-orm";
import { bigint, boolean, index, integer, text, unique, uniqueIndex } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";
import { instances } from "./instances.ts";

/**
 * Nights: the moments of the resync schedule that have come. A night that is in here has been opened, once, whatever number
 * of processes there are. The first row only says since when nights are counted.
 */
export const resyncNights = avatarsSchema.table("resync_nights", {
  /** The moment of the schedule. */
  slotAt: moment("slot_at").primaryKey(),
  openedAt: moment("opened_at").notNull().defaultNow(),
  /** When the source query had been run, where there is one, and its resync runs began. */
  preparedAt: moment("prepared_at"),
  /** New contacts that the source query brought, and listed ones that are gone. Null: it was not run. */
  sourceAdded: integer("source_added"),
  sourceGone: integer("source_gone"),
  sourceRejected: integer("source_rejected"),
  /** Why the source query brought nothing, or not all; of a fixed set of words. */
  sourceError: text("source_error"),
});

/**
 * A stretch of refreshing one instance: a night, the day between two nights (`trickle`), or a person's request (`manual`). At
 * most one of an instance is open; it survives all processes.
 */
export const resyncRuns = avatarsSchema.table(
  "resync_runs",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    instanceId: text("instance_id")
      .notNull()
      .references(() => instances.id, { onDelete: "cascade" }),
    kind: text({ enum: ["night", "trickle", "manual"] }).notNull(),
    /** The moment of its night; null: it is none. */
    nightAt: moment("night_at").references(() => resyncNights.slotAt, { onDelete: "cascade" }),
    openedAt: moment("opened_at").notNull().defaultNow(),
    /** A night that began within its window ends with it. Null: with the next night. */
    endsAt: moment("ends_at"),
    /** True: only contacts that a person has asked for. Below, how many contacts at most. */
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
    // Without the id: while the table is empty, any index that has it may be taken for the key, and stays in prepared plans.
    index("resync_runs_opened_idx").on(table.openedAt),
    // The last one of an instance, among years of nights.
    index("resync_runs_manual_idx")
      .on(table.instanceId, table.id)
      .where(sql`${table.kind} = 'manual'`),
    index("resync_runs_night_idx").on(table.nightAt),
  ],
);
