import { sql } from "drizzle-orm";
import { check, index, text } from "drizzle-orm/pg-core";
import { apiKeys } from "./api-keys.ts";
import { avatarsSchema } from "./avatars-schema.ts";
import { bytes, moment } from "./columns.ts";

/**
 * Sessions of the console in a browser, and links that open one. Each stands for a key, and ends with it. Their tokens are nowhere
 * but with their owners.
 */
export const consoleSessions = avatarsSchema.table(
  "console_sessions",
  {
    /** SHA-256 of the token: 32 random bytes need no key. */
    tokenHash: bytes("token_hash").primaryKey(),
    /** `link`: is exchanged for a session, once. */
    kind: text({ enum: ["session", "link"] }).notNull(),
    apiKeyId: text("api_key_id")
      .notNull()
      .references(() => apiKeys.id, { onDelete: "cascade" }),
    createdAt: moment("created_at").notNull().defaultNow(),
    expiresAt: moment("expires_at").notNull(),
  },
  (table) => [
    // The cleaning, and the cascade of a key.
    index("console_sessions_expires_idx").on(table.expiresAt),
    index("console_sessions_key_idx").on(table.apiKeyId),
    check("console_sessions_kind_check", sql`${table.kind} in ('session', 'link')`),
  ],
);
