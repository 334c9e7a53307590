import { sql } from "drizzle-orm";
import { bigint, check, index, jsonb, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";

/** Who did what: a row for each change that was asked for, written in its transaction (store/audit/record-audit.ts). */
export const audit = avatarsSchema.table(
  "audit",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    at: moment("at").notNull().defaultNow(),
    actorKind: text("actor_kind", { enum: ["key", "cli", "worker"] }).notNull(),
    /** Of a key. No foreign key: keys come and go. */
    actorId: text("actor_id"),
    actorName: text("actor_name"),
    action: text().notNull(),
    subjectId: text("subject_id"),
    /** No foreign key: what was done to an instance outlives it. */
    instanceId: text("instance_id"),
    /** Keyed (lib/secrets/chat-hash.ts), and null again when the contact is erased. */
    contactHash: text("contact_hash"),
    detail: jsonb().notNull().default({}),
    requestId: text("request_id"),
    address: text(),
  },
  (table) => [
    check("audit_actor_check", sql`${table.actorKind} in ('key', 'cli', 'worker')`),
    // Readers and retention walk it.
    index("audit_at_idx").on(table.at, table.id),
    // An erasure looks for its contact.
    index("audit_contact_idx")
      .on(table.instanceId, table.contactHash)
      .where(sql`${table.contactHash} is not null`),
  ],
);
