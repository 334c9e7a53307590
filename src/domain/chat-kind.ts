import type { ChatId } from "./chat-id.ts";

/** A person by number, a group, or a person by privacy id. */
export const chatKinds = ["user", "group", "lid"] as const;
export type ChatKind = (typeof chatKinds)[number];

/** How the ids of each kind end. */
export const chatServers: Record<ChatKind, string> = { user: "@c.us", group: "@g.us", lid: "@lid" };

export function toChatKind(chatId: ChatId): ChatKind {
  if (chatId.endsWith(chatServers.group)) return "group";
  return chatId.endsWith(chatServers.lid) ? "lid" : "user";
}
