import { index, jsonb, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { bytes, moment } from "./columns.ts";

/** Who may use the HTTP API. The secret itself is nowhere but with its owner. */
export const apiKeys = avatarsSchema.table("api_keys", {
  /** Public: the part of the token before the dot. */
  id: text().primaryKey(),
  label: text(),
  scopes: text().array().notNull(),
  /** Null: all instances, also those to come. No foreign key: one that is removed is simply not found. */
  instanceIds: text("instance_ids").array(),
  /** HMAC-SHA256, keyed by the installation's secret key. */
  secretHmac: bytes("secret_hmac").notNull(),
  createdAt: moment("created_at").notNull().defaultNow(),
  expiresAt: moment("expires_at"),
  revokedAt: moment("revoked_at"),
  lastUsedAt: moment("last_used_at"),
});

/**
 * What was answered to a request that came with an `Idempotency-Key`, for a day. That a request is still at work is an
 * advisory lock, and nothing here: it ends with its process.
 */
export const idempotencyKeys = avatarsSchema.table(
  "idempotency_keys",
  {
    apiKeyId: text("api_key_id").notNull(),
    key: text().notNull(),
    /** Of the request and all of its body. Null: a stream that has not been read to its end. */
    fingerprint: text(),
    batchId: uuid("batch_id").notNull(),
    /**
     * Without chat ids, so that an erased contact is not kept here: the body in hand has them. Of a stream that has not been
     * read to its end: the digest of its parameters.
     */
    answer: jsonb(),
    createdAt: moment("created_at").notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.apiKeyId, table.key] }),
    index("idempotency_keys_created_idx").on(table.createdAt),
  ],
);
