/**
 * All operations of the API by their `operationId`: what the client builds its requests from. `isRepeatable`: done twice it
 * is as done once, and so it is tried again also when it is not known whether it was done; requests with an `Idempotency-Key` are.
 */
export const operations = {
  createBatch: { method: "POST", path: "/v1/batches", isRepeatable: true },
  listBatches: { method: "GET", path: "/v1/batches", isRepeatable: true },
  getBatch: { method: "GET", path: "/v1/batches/{id}", isRepeatable: true },
  listBatchItems: { method: "GET", path: "/v1/batches/{id}/items", isRepeatable: true },
  getBatchResultsCsv: { method: "GET", path: "/v1/batches/{id}/results.csv", isRepeatable: true },
  getBatchResultsNdjson: { method: "GET", path: "/v1/batches/{id}/results.ndjson", isRepeatable: true },
  watchBatch: { method: "GET", path: "/v1/batches/{id}/events", isRepeatable: true },
  cancelBatch: { method: "POST", path: "/v1/batches/{id}/cancel", isRepeatable: true },
  retryBatch: { method: "POST", path: "/v1/batches/{id}/retry", isRepeatable: true },
  getContact: { method: "GET", path: "/v1/instances/{id}/contacts/{chatId}", isRepeatable: true },
  getContactHistory: {
    method: "GET",
    path: "/v1/instances/{id}/contacts/{chatId}/history",
    isRepeatable: true,
  },
  getContactImage: {
    method: "GET",
    path: "/v1/instances/{id}/contacts/{chatId}/image",
    isRepeatable: true,
  },
  refreshContact: {
    method: "POST",
    path: "/v1/instances/{id}/contacts/{chatId}/refresh",
    isRepeatable: true,
  },
  eraseContact: { method: "DELETE", path: "/v1/instances/{id}/contacts/{chatId}", isRepeatable: true },
  listContacts: { method: "GET", path: "/v1/contacts", isRepeatable: true },
  countContacts: { method: "GET", path: "/v1/contacts/counts", isRepeatable: true },
  getContactById: { method: "GET", path: "/v1/contacts/{contactId}", isRepeatable: true },
  getContactHistoryById: { method: "GET", path: "/v1/contacts/{contactId}/history", isRepeatable: true },
  getEarlierImage: { method: "GET", path: "/v1/contacts/{contactId}/images/{sha256}", isRepeatable: true },
  refreshContactById: { method: "POST", path: "/v1/contacts/{contactId}/refresh", isRepeatable: true },
  eraseContactById: { method: "DELETE", path: "/v1/contacts/{contactId}", isRepeatable: true },
  lookupContacts: { method: "POST", path: "/v1/contacts/lookup", isRepeatable: true },
  listChanges: { method: "GET", path: "/v1/changes", isRepeatable: true },
  listInstances: { method: "GET", path: "/v1/instances", isRepeatable: true },
  getInstance: { method: "GET", path: "/v1/instances/{id}", isRepeatable: true },
  getStatus: { method: "GET", path: "/v1/status", isRepeatable: true },
  addInstance: { method: "POST", path: "/v1/instances", isRepeatable: false },
  changeInstance: { method: "PATCH", path: "/v1/instances/{id}", isRepeatable: true },
  pauseInstance: { method: "POST", path: "/v1/instances/{id}/pause", isRepeatable: true },
  resumeInstance: { method: "POST", path: "/v1/instances/{id}/resume", isRepeatable: true },
  removeInstance: { method: "DELETE", path: "/v1/instances/{id}", isRepeatable: true },
  renewHook: { method: "POST", path: "/v1/instances/{id}/hook", isRepeatable: false },
  removeHook: { method: "DELETE", path: "/v1/instances/{id}/hook", isRepeatable: true },
  getResyncPlan: { method: "GET", path: "/v1/resync/plan", isRepeatable: true },
  listResyncRuns: { method: "GET", path: "/v1/resync/runs", isRepeatable: true },
  listAudit: { method: "GET", path: "/v1/audit", isRepeatable: true },
  noteReveal: { method: "POST", path: "/v1/audit/reveals", isRepeatable: false },
  listWebhooks: { method: "GET", path: "/v1/webhooks", isRepeatable: true },
  getWebhook: { method: "GET", path: "/v1/webhooks/{id}", isRepeatable: true },
  addWebhook: { method: "POST", path: "/v1/webhooks", isRepeatable: false },
  changeWebhook: { method: "PATCH", path: "/v1/webhooks/{id}", isRepeatable: true },
  enableWebhook: { method: "POST", path: "/v1/webhooks/{id}/enable", isRepeatable: true },
  disableWebhook: { method: "POST", path: "/v1/webhooks/{id}/disable", isRepeatable: true },
  rotateWebhook: { method: "POST", path: "/v1/webhooks/{id}/rotate", isRepeatable: false },
  testWebhook: { method: "POST", path: "/v1/webhooks/{id}/test", isRepeatable: false },
  listWebhookDeliveries: { method: "GET", path: "/v1/webhooks/{id}/deliveries", isRepeatable: true },
  replayWebhook: { method: "POST", path: "/v1/webhooks/{id}/replay", isRepeatable: true },
  redeliverWebhook: { method: "POST", path: "/v1/webhooks/{id}/redeliver", isRepeatable: false },
  removeWebhook: { method: "DELETE", path: "/v1/webhooks/{id}", isRepeatable: true },
  getCallbackSecret: { method: "GET", path: "/v1/callback-secret", isRepeatable: true },
  listKeys: { method: "GET", path: "/v1/keys", isRepeatable: true },
  getOwnKey: { method: "GET", path: "/v1/keys/self", isRepeatable: true },
  addKey: { method: "POST", path: "/v1/keys", isRepeatable: false },
  revokeKey: { method: "DELETE", path: "/v1/keys/{id}", isRepeatable: true },
  getHealth: { method: "GET", path: "/healthz", isRepeatable: true },
  getReadiness: { method: "GET", path: "/readyz", isRepeatable: true },
  getMetrics: { method: "GET", path: "/metrics", isRepeatable: true },
} as const satisfies Readonly<
  Record<
    string,
    {
      readonly method: "GET" | "POST" | "PATCH" | "DELETE";
      readonly path: `/${string}`;
      readonly isRepeatable: boolean;
    }
  >
>;

export type OperationId = keyof typeof operations;
