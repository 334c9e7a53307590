import { bigint, index, integer, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";
import { contacts } from "./contacts.ts";

/** The last good avatar of each contact that ever had a clear answer about it (`present` or `absent`). */
export const avatars = avatarsSchema.table("avatars", {
  contactId: bigint("contact_id", { mode: "number" })
    .primaryKey()
    .references(() => contacts.id, { onDelete: "cascade" }),
  /** Null: no picture is set. */
  url: text(),
  urlExpiresAt: moment("url_expires_at"),
  /** A mark of the picture, the same for all its URLs. Null: no picture is set. */
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
  // The index serves the history of one contact, and the cascade: each deleted contact would read the whole table.
  (table) => [index("avatar_changes_contact_idx").on(table.contactId)],
);
