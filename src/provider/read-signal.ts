import { z } from "zod";
import { parseChatId, type ChatId } from "../domain/chat-id.ts";
import type { Signal } from "../domain/signal.ts";

/** The notifications that name a chat in `senderData`, of messages in and out. */
const messageTypes = new Set([
  "incomingMessageReceived",
  "outgoingMessageReceived",
  "outgoingAPIMessageReceived",
]);
/** Those that name the other side of a call in `from`. */
const callTypes = new Set(["incomingCall", "outgoingCall"]);

/** Ids are numbers today; texts are taken, too. */
const idSchema = z.union([z.string().max(100), z.number()]).transform(String);

const notificationSchema = z.object({
  typeWebhook: z.string(),
  instanceData: z.object({ idInstance: idSchema }).optional().catch(undefined),
  senderData: z.object({ chatId: idSchema }).optional().catch(undefined),
  from: idSchema.optional().catch(undefined),
  stateInstance: z.string().optional().catch(undefined),
});

/**
 * What a notification of GREEN-API tells, by the documented `typeWebhook`s. Pure and total: what is not understood is `nothing`, since the
 * sender repeats what is refused, and sends nothing else meanwhile. Of a group it is the group alone: its members are no chats.
 * @param body parsed JSON, of any shape
 */
export function readSignal(body: unknown): Signal {
  const { data } = notificationSchema.safeParse(body);
  if (data === undefined) return { instanceId: undefined, kind: "nothing" };
  const instanceId = data.instanceData?.idInstance;
  if (data.typeWebhook === "stateInstanceChanged")
    return { instanceId, kind: data.stateInstance === "authorized" ? "authorized" : "nothing" };
  const chatId = findChat(data);
  return chatId === undefined ? { instanceId, kind: "nothing" } : { instanceId, kind: "chat", chatId };
}

function findChat({
  typeWebhook,
  senderData,
  from,
}: z.output<typeof notificationSchema>): ChatId | undefined {
  const text = messageTypes.has(typeWebhook)
    ? senderData?.chatId
    : callTypes.has(typeWebhook)
      ? from
      : undefined;
  const parsed = text === undefined ? undefined : parseChatId(text);
  return parsed?.ok ? parsed.chatId : undefined;
}
