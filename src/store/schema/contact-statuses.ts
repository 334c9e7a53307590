import { bigint, primaryKey, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { contacts } from "./contacts.ts";

/**
 * Contacts by their status, for lists. Triggers on `contacts` keep it, in the same transaction. A row is written when its contact
 * comes, and when the status becomes another one. An index of `contacts` itself would have an entry more for each save, also of
 * the same answer.
 */
export const contactStatuses = avatarsSchema.table(
  "contact_statuses",
  {
    instanceId: text("instance_id").notNull(),
    status: text({ enum: contacts.status.enumValues }).notNull(),
    contactId: bigint("contact_id", { mode: "number" }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.instanceId, table.status, table.contactId] })],
);
