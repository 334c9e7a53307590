import { sql } from "drizzle-orm";
import { check, index, jsonb, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { bytes, moment } from "./columns.ts";

/** The keys of the HTTP API. Their secrets are nowhere but with their owners. */
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
 * Answers to requests that came with an `Idempotency-Key`, for a day. A request that is still at work holds an advisory lock,
 * which ends with its process; no column says so.
 */
export const idempotencyKeys = avatarsSchema.table(
  "idempotency_keys",
  {
    apiKeyId: text("api_key_id").notNull(),
    key: text().notNull(),
    /** `cut-off`: a stream that was not read to its end, or is being read. */
    kind: text({ enum: ["answered", "cut-off"] }).notNull(),
    /** Digest of the request with all of its body. Null: the stream is cut off, and its body not known. */
    fingerprint: text(),
    batchId: uuid("batch_id").notNull(),
    /**
     * The answer without chat ids: a repeated request has them in its body, and erased ones must not stay here. Of a cut-off
     * stream: the digest of its parameters.
     */
    answer: jsonb(),
    createdAt: moment("created_at").notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.apiKeyId, table.key] }),
    index("idempotency_keys_created_idx").on(table.createdAt),
    check("idempotency_keys_kind_check", sql`${table.kind} in ('answered', 'cut-off')`),
    check(
      "idempotency_keys_fingerprint_check",
      sql`(${table.kind} = 'answered') = (${table.fingerprint} is not null)`,
    ),
  ],
);
