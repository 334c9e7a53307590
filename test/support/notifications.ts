/** Notifications as GREEN-API's documentation has them. What is of no use here is in them, too: it must go nowhere. */
const secretText = "PLEASE-DO-NOT-KEEP-THIS";

const toInstanceData = (instanceId: string) => ({
  idInstance: Number(instanceId),
  wid: "79001112233@c.us",
  typeInstance: "whatsapp",
});

export function toMessage(
  instanceId: string,
  chatId: string,
  typeWebhook = "incomingMessageReceived",
): Record<string, unknown> {
  return {
    typeWebhook,
    instanceData: toInstanceData(instanceId),
    timestamp: 1_588_091_580,
    idMessage: "F7AEC1B7086ECDC7E6E45923F5EDB825",
    senderData: {
      chatId,
      sender: "79009998877@c.us",
      chatName: secretText,
      senderName: secretText,
      senderContactName: secretText,
    },
    messageData: {
      typeMessage: "imageMessage",
      fileMessageData: {
        downloadUrl: `https://example.com/${secretText}`,
        caption: secretText,
        jpegThumbnail: "/9j/4AAQSkZJRgABAQAAAQABAAD".repeat(200),
      },
    },
  };
}

export function toIncomingCall(instanceId: string, from: string): Record<string, unknown> {
  return {
    from,
    typeWebhook: "incomingCall",
    instanceData: toInstanceData(instanceId),
    status: "offer",
    timestamp: 1_588_091_580,
    idMessage: "F7AEC1B7086ECDC7E6E45923F5EDB825",
  };
}

export function toStateChange(instanceId: string, stateInstance: string): Record<string, unknown> {
  return {
    typeWebhook: "stateInstanceChanged",
    instanceData: toInstanceData(instanceId),
    timestamp: 1_588_091_580,
    stateInstance,
  };
}

/** What no table and no log may have of a notification. */
export const notKept: readonly string[] = [secretText, "F7AEC1B7086ECDC7E6E45923F5EDB825", "79009998877"];
