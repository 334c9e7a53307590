import { sql } from "drizzle-orm";
import { bigint, check, index, json, text, uuid } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";
import { contacts } from "./contacts.ts";

/**
 * Records that could not be written to their contacts, whose rows a transaction of another program holds
 * (docs/lock-waits.md). They are put here without a lock on the contact, which is not claimed meanwhile. Nearly always empty.
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
