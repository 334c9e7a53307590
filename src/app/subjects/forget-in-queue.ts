import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { forgetChat, isOfInstance, namesChat } from "../../intake/forget-chat.ts";
import { settleWithin } from "../../lib/deadline.ts";
import type { Queues } from "../../queue/queues.ts";

/** The queue holds few requests, unless no worker runs. */
const deadlineMs = 8_000;

/**
 * Takes a chat out of what BullMQ clients have asked for, whether it waits, failed or is done. False: that was not done in time,
 * or the queue does not answer.
 */
export async function forgetInQueue(
  getQueues: () => Promise<Queues>,
  instanceId: InstanceId,
  chatId: ChatId,
): Promise<boolean> {
  const forget = async () => {
    const queues = await getQueues();
    await queues.forgetInRequests(chatId.slice(0, chatId.indexOf("@")), ({ data, rest }) =>
      namesChat(rest, chatId) ? { kind: "nothing" } : forgetChat(data, instanceId, chatId),
    );
  };
  return settleWithin(forget(), deadlineMs).catch(() => false);
}

/** Takes away what BullMQ clients have asked for contacts of an instance that is gone. False: as above. */
export async function forgetInstanceInQueue(
  getQueues: () => Promise<Queues>,
  instanceId: InstanceId,
): Promise<boolean> {
  const forget = async () => {
    const queues = await getQueues();
    await queues.forgetInRequests(undefined, ({ data }) => ({
      kind: isOfInstance(data, instanceId) ? "nothing" : "untouched",
    }));
  };
  return settleWithin(forget(), deadlineMs).catch(() => false);
}
