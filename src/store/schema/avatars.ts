import { sql } from "drizzle-orm";
import { bigint, boolean, index, integer, smallint, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { bytes, moment } from "./columns.ts";
import { images } from "./images.ts";

/**
 * The last good avatar of each contact that ever had a clear answer about it (`present` or `absent`), and its image.
 *
 * Neither table has a foreign key to the contact: each would look the contact up once more for each row of a save, which has it
 * locked. A trigger on contacts deletes what goes with them, with the same locks.
 */
export const avatars = avatarsSchema.table(
  "avatars",
  {
    contactId: bigint("contact_id", { mode: "number" }).primaryKey(),
    /** Null: there is no picture (not set, or no WhatsApp account), or it was told without a URL. */
    url: text(),
    urlExpiresAt: moment("url_expires_at"),
    /** A mark of the picture, the same for all its URLs: domain/avatar-version.ts. Null: there is no picture. */
    version: text(),
    /** When the call behind the first clear answer was sent: the contact has been watched since then. */
    firstSeenAt: moment("first_seen_at").notNull().defaultNow(),
    /** How many of the answers since then differed from the one before. */
    changes: integer().notNull().default(0),
    /** When the call that first saw this picture was sent. */
    changedAt: moment("changed_at").notNull(),
    /** When the call that last saw it was sent. Fence: an older answer never replaces it. */
    seenAt: moment("seen_at").notNull(),
    /** When the call that first saw `version` was sent. Null: before images were kept. */
    versionAt: moment("version_at"),
    /**
     * The feed of changes has not been told of `version` yet: its image is being taken, and may turn out to be the one that is
     * known. Until then the feed stands at `told_version`.
     */
    isUntold: boolean("is_untold").notNull().default(false),
    toldVersion: text("told_version"),
    /** The image that is shown. Null: none was taken, or there is no picture. */
    imageSha256: bytes("image_sha256").references(() => images.sha256),
    /** The version that it was taken of. Another one than `version`: the shown image is an older one. */
    imageVersion: text("image_version"),
    /** When its bytes were taken. */
    imageAt: moment("image_at"),
    /** When the image of `version` is to be taken. Null: there is nothing to take. */
    imageWantedAt: moment("image_wanted_at"),
    /** Tries to take it in vain. */
    imageAttempts: smallint("image_attempts").notNull().default(0),
    /** Why the last try failed, or the image was refused: a code of domain/image-fault.ts. */
    imageError: text("image_error"),
  },
  (table) => [
    index("avatars_image_wanted_idx")
      .on(table.imageWantedAt)
      .where(sql`${table.imageWantedAt} is not null`),
    // Contacts whose avatar has changed, the latest first. A first sighting is no change, and a save of the same picture writes
    // neither column anew.
    index("avatars_changed_idx")
      .on(table.changedAt, table.contactId)
      .where(sql`${table.changes} > 0`),
    // Who else shows an image: before it is removed, and for the foreign key.
    index("avatars_image_idx")
      .on(table.imageSha256)
      .where(sql`${table.imageSha256} is not null`),
  ],
);

/**
 * Append-only: whenever what the feed is told differs from before. Saves write it themselves (store/saves/write-avatars-sql.ts), a
 * trigger on `avatars` does for all others.
 */
export const avatarChanges = avatarsSchema.table(
  "avatar_changes",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    contactId: bigint("contact_id", { mode: "number" }).notNull(),
    fromVersion: text("from_version"),
    toVersion: text("to_version"),
    /** When the call that saw the change was sent. */
    seenAt: moment("seen_at").notNull(),
    /** The images of both. Null: none was taken. Their bytes may be gone (AVATARS_KEEP_IMAGES). */
    fromSha256: bytes("from_sha256"),
    toSha256: bytes("to_sha256"),
  },
  (table) => [
    // The index serves the history of one contact, and the cascade: each deleted contact would read the whole table.
    index("avatar_changes_contact_idx").on(table.contactId),
    // Who else has an image in its history, before it is removed.
    index("avatar_changes_from_image_idx")
      .on(table.fromSha256)
      .where(sql`${table.fromSha256} is not null`),
    index("avatar_changes_to_image_idx")
      .on(table.toSha256)
      .where(sql`${table.toSha256} is not null`),
  ],
);
