import { createHmac } from "node:crypto";

/** Hashes of one purpose tell nothing of those of another: each has a key of its own. */
export type ChatHashPurpose = "chat ids in logs" | "erased chats" | "contacts in the audit log";

/** The same chat id has the same hash: HMAC-SHA256 in base64url, 43 characters. */
export type ChatHash = (chatId: string) => string;

/**
 * Makes the hash of people's ids, where an id itself is not to be kept. Without the key it names no person.
 * @param key AVATARS_SECRET_KEY, 32 bytes
 */
export function createChatHash(key: Uint8Array, purpose: ChatHashPurpose): ChatHash {
  const hashKey = createHmac("sha256", key).update(purpose).digest();
  return (chatId) => createHmac("sha256", hashKey).update(chatId).digest("base64url");
}
