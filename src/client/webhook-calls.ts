import { toJsonBody, type Caller } from "./caller.ts";
import type { Client } from "./client.ts";

export type WebhookCalls = Pick<
  Client,
  | "listWebhooks"
  | "getWebhook"
  | "addWebhook"
  | "changeWebhook"
  | "enableWebhook"
  | "disableWebhook"
  | "rotateWebhook"
  | "testWebhook"
  | "listWebhookDeliveries"
  | "replayWebhook"
  | "redeliverWebhook"
  | "removeWebhook"
  | "getCallbackSecret"
>;

/** Adds, changes and tries endpoints of webhooks. */
export function createWebhookCalls({ ask, send }: Caller): WebhookCalls {
  return {
    listWebhooks: async (call) => ask("listWebhooks", { options: call }),
    getWebhook: async (id, call) => ask("getWebhook", { path: { id }, options: call }),
    addWebhook: async (webhook, call) => ask("addWebhook", { ...toJsonBody(webhook), options: call }),
    changeWebhook: async (id, changes, call) =>
      ask("changeWebhook", { path: { id }, ...toJsonBody(changes), options: call }),
    enableWebhook: async (id, from, call) =>
      ask("enableWebhook", { path: { id }, ...toJsonBody({ from }), options: call }),
    disableWebhook: async (id, call) => ask("disableWebhook", { path: { id }, options: call }),
    rotateWebhook: async (id, call) => ask("rotateWebhook", { path: { id }, options: call }),
    testWebhook: async (id, call) => ask("testWebhook", { path: { id }, options: call }),
    listWebhookDeliveries: async (id, filter, call) =>
      ask("listWebhookDeliveries", { path: { id }, query: { ...filter }, options: call }),
    replayWebhook: async (id, from, call) =>
      ask("replayWebhook", { path: { id }, ...toJsonBody(from), options: call }),
    redeliverWebhook: async (id, feedId, call) =>
      ask("redeliverWebhook", { path: { id }, ...toJsonBody({ feedId }), options: call }),
    removeWebhook: async (id, call) =>
      send<void>({
        operation: "removeWebhook",
        path: { id },
        read: () => undefined,
        readMissing: () => undefined,
        options: call,
      }),
    getCallbackSecret: async (call) => ask("getCallbackSecret", { options: call }),
  };
}
