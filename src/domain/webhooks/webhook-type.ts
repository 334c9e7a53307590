/** What endpoints can be told of. */
export const webhookTypes = [
  "avatar.changed",
  "avatar.removed",
  "batch.finished",
  "instance.held",
  "instance.resumed",
  "endpoint.disabled",
] as const;

export type WebhookType = (typeof webhookTypes)[number];
