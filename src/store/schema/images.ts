import { sql } from "drizzle-orm";
import { bigint, boolean, check, integer, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { bytes, moment } from "./columns.ts";

/** Images that are kept, each once, however many contacts show it. Their bytes are in a directory or in S3, by their hash. */
export const images = avatarsSchema.table(
  "images",
  {
    sha256: bytes("sha256").primaryKey(),
    type: text({ enum: ["image/jpeg", "image/png", "image/webp"] }).notNull(),
    bytes: integer().notNull(),
    width: integer().notNull(),
    height: integer().notNull(),
    storedAt: moment("stored_at").notNull().defaultNow(),
  },
  (table) => [
    check("images_sha256_check", sql`length(${table.sha256}) = 32`),
    check("images_type_check", sql`${table.type} in ('image/jpeg', 'image/png', 'image/webp')`),
  ],
);

/**
 * Images that a row has stopped to show, written by triggers: each is removed unless another row has it. Append-only, so that
 * writers wait neither for each other nor for the removal of bytes.
 */
export const imagesUnused = avatarsSchema.table("images_unused", {
  id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  sha256: bytes("sha256").notNull(),
  at: moment("at").notNull().defaultNow(),
});

/** What is one for all processes of an installation: a single row. */
export const installation = avatarsSchema.table(
  "installation",
  {
    isOnly: boolean("is_only").primaryKey().default(true),
    /** The key of the addresses of images: 32 random bytes, made by the migration. */
    imageKey: bytes("image_key").notNull(),
    /** The same as HMAC needs it: 64 bytes, padded with zeros, each byte xor 0x36 and 0x5c (RFC 2104). */
    imageKeyInner: bytes("image_key_inner").notNull(),
    imageKeyOuter: bytes("image_key_outer").notNull(),
    /** Where the API is reached from outside (AVATARS_PUBLIC_URL), for the view `current`. Null: it was never told. */
    publicUrl: text("public_url"),
    /** Has an API been started that serves images? Addresses are told only then. */
    servesImages: boolean("serves_images").notNull().default(false),
  },
  (table) => [check("installation_only_check", sql`${table.isOnly}`)],
);
