import { sql } from "drizzle-orm";
import { bigint, check, index, json, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";
import { contacts } from "./contacts.ts";

/**
 * Records that could not be written to their contacts, whose rows a transaction of another program holds
 * (docs/lock-waits.md). They are put here without a lock on the contact, which is not asked for meanwhile. Nearly always empty.
 */
export const lookupsAside = avatarsSchema.table(
  "lookups_aside",
  {
    contactId: bigint("contact_id", { mode: "number" })
      .primaryKey()
      .references(() => contacts.id, { onDelete: "cascade" }),
    instanceId: text("instance_id").notNull(),
    /** The lease under which the contact was asked for. */
    epoch: bigint({ mode: "number" }).notNull(),
    /** The call was in flight when its lease was handed over, and that could not be noted in the contact's row. */
    inFlightUntil: moment("in_flight_until"),
    /** The finished lookup, as store/saves/put-lookups-aside.ts writes it. */
    record: json(),
    putAt: moment("put_at").notNull().defaultNow(),
  },
  (table) => [
    check(
      "lookups_aside_record_check",
      sql`(${table.record} is null) = (${table.inFlightUntil} is not null)`,
    ),
    index("lookups_aside_instance_idx").on(table.instanceId),
  ],
);
