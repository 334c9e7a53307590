import { index, primaryKey, text } from "drizzle-orm/pg-core";
import { avatarsSchema } from "./avatars-schema.ts";
import { moment } from "./columns.ts";
import { instances } from "./instances.ts";

/**
 * Marks of chats that were erased. The provider may name one again among those that a spent quota leaves. It is kept then
 * only as a contact again. Marks stay for longer than such a quota lasts (store/retention/remove-old-erasures.ts). With
 * another secret key they tell nothing.
 */
export const erasedChats = avatarsSchema.table(
  "erased_chats",
  {
    instanceId: text("instance_id")
      .notNull()
      .references(() => instances.id, { onDelete: "cascade" }),
    /** Keyed (lib/secrets/chat-hash.ts): the id itself is in no table. */
    chatHash: text("chat_hash").notNull(),
    erasedAt: moment("erased_at").notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.instanceId, table.chatHash] }),
    // Retention walks it.
    index("erased_chats_erased_idx").on(table.erasedAt),
  ],
);
