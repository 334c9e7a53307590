// Schemas with a name stand in the document in the order in which these modules are loaded.
import { addCreateBatch } from "./routes/batches/create-batch.ts";
import { addBatchResults } from "./routes/batches/batch-results.ts";
import { addCancelBatch } from "./routes/batches/cancel-batch.ts";
import { addGetBatch } from "./routes/batches/get-batch.ts";
import { addListBatchItems } from "./routes/batches/list-batch-items.ts";
import { addListBatches } from "./routes/batches/list-batches.ts";
import { addRetryBatch } from "./routes/batches/retry-batch.ts";
import { addWatchBatch } from "./routes/batches/watch-batch.ts";
import { addListAudit, addNoteReveal } from "./routes/audit.ts";
import { addConsoleFiles } from "./routes/console/console-files.ts";
import { addConsoleSession } from "./routes/console/console-session.ts";
import { addConsoleStream } from "./routes/console/console-stream.ts";
import { addFrontRoute } from "./routes/front.ts";
import { addGetStatus } from "./routes/get-status.ts";
import { addListChanges } from "./routes/changes.ts";
import { addEraseContact } from "./routes/contacts/erase-contact.ts";
import { addGetContact } from "./routes/contacts/get-contact.ts";
import { addGetContactDetail } from "./routes/contacts/get-contact-detail.ts";
import { addGetContactHistory } from "./routes/contacts/get-contact-history.ts";
import { addCountContacts, addListContacts } from "./routes/contacts/list-contacts.ts";
import { addLookupContacts } from "./routes/contacts/lookup-contacts.ts";
import { addRefreshContact } from "./routes/contacts/refresh-contact.ts";
import { addGetContactImage } from "./routes/images/get-contact-image.ts";
import { addGetEarlierImage } from "./routes/images/get-earlier-image.ts";
import { addGetImage } from "./routes/images/get-image.ts";
import { addGreenApiHook } from "./routes/hooks.ts";
import { addRemoveHook, addRenewHook } from "./routes/instances/instance-hook.ts";
import { addAddInstance } from "./routes/instances/add-instance.ts";
import { addChangeInstance } from "./routes/instances/change-instance.ts";
import { addGetInstance } from "./routes/instances/get-instance.ts";
import { addListInstances } from "./routes/instances/list-instances.ts";
import { addAddKey } from "./routes/keys/add-key.ts";
import { addGetOwnKey, addListKeys } from "./routes/keys/list-keys.ts";
import { addRevokeKey } from "./routes/keys/revoke-key.ts";
import { addPauseInstance } from "./routes/instances/pause-instance.ts";
import { addResumeInstance } from "./routes/instances/resume-instance.ts";
import { addGetResyncPlan, addListResyncRuns } from "./routes/resync.ts";
import { addGetHealth, addGetMetrics, addGetReadiness } from "./routes/service.ts";
import { addRemoveInstance } from "./routes/instances/remove-instance.ts";
import { addAddWebhook } from "./routes/webhooks/add-webhook.ts";
import { addGetCallbackSecret } from "./routes/webhooks/callback-secret.ts";
import { addChangeWebhook } from "./routes/webhooks/change-webhook.ts";
import { addGetWebhook, addListWebhooks } from "./routes/webhooks/list-webhooks.ts";
import {
  addDisableWebhook,
  addEnableWebhook,
  addRemoveWebhook,
  addRotateWebhook,
} from "./routes/webhooks/steer-webhook.ts";
import {
  addListWebhookDeliveries,
  addRedeliverWebhook,
  addReplayWebhook,
  addTestWebhook,
} from "./routes/webhooks/webhook-deliveries.ts";
import type { ZodApi } from "./context/api-context.ts";

/** The endpoints, in the order in which the document has them. */
const endpoints = [
  addFrontRoute,
  addGetHealth,
  addGetReadiness,
  addGetMetrics,
  addListBatches,
  addGetBatch,
  addListBatchItems,
  addCancelBatch,
  addRetryBatch,
  addCreateBatch,
  addBatchResults,
  addWatchBatch,
  addListContacts,
  addCountContacts,
  addGetContact,
  addGetContactDetail,
  addGetContactHistory,
  addRefreshContact,
  addEraseContact,
  addLookupContacts,
  addGetImage,
  addGetContactImage,
  addGetEarlierImage,
  addListChanges,
  addListInstances,
  addGetInstance,
  addGetStatus,
  addAddInstance,
  addChangeInstance,
  addPauseInstance,
  addResumeInstance,
  addRemoveInstance,
  addRenewHook,
  addRemoveHook,
  addGetResyncPlan,
  addListResyncRuns,
  addListAudit,
  addNoteReveal,
  addGreenApiHook,
  addListWebhooks,
  addGetWebhook,
  addAddWebhook,
  addChangeWebhook,
  addEnableWebhook,
  addDisableWebhook,
  addRotateWebhook,
  addTestWebhook,
  addListWebhookDeliveries,
  addReplayWebhook,
  addRedeliverWebhook,
  addRemoveWebhook,
  addGetCallbackSecret,
  addListKeys,
  addGetOwnKey,
  addAddKey,
  addRevokeKey,
  addConsoleSession,
  addConsoleStream,
  addConsoleFiles,
];

/**
 * The context that suits all endpoints. A parameter that is inferred from several functions is what theirs have in common.
 */
type RouteContext = (typeof endpoints)[number] extends (api: ZodApi, context: infer Context) => void
  ? Context
  : never;

/** The ports of all endpoints. */
export type RoutePorts = RouteContext["ports"];

export function addRoutes(api: ZodApi, context: RouteContext): void {
  for (const addEndpoint of endpoints) addEndpoint(api, context);
}
