import { sql } from "drizzle-orm";
import { bigint, check, primaryKey, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { contacts } from "./contacts.ts";

/**
 * Contacts that have an answer, by its status, for lists; those without are found by an index of `contacts`. An index of all statuses
 * there would have an entry more for each save, also of the same answer. Saves list first answers themselves
 * (store/saves/write-lookups-sql.ts). Triggers on `contacts` do all else, in the same transaction.
 */
export const contactStatuses = avatarsSchema.table(
  "contact_statuses",
  {
    instanceId: text("instance_id").notNull(),
    status: text({ enum: contacts.status.enumValues }).notNull(),
    contactId: bigint("contact_id", { mode: "number" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.instanceId, table.status, table.contactId] }),
    check("contact_statuses_status_check", sql`${table.status} <> 'unknown'`),
  ],
);
