import type { z } from "zod";
import type { BatchState } from "../domain/views/batch.ts";
import type { ContactStatus } from "../domain/contact-status.ts";
import type { auditListSchema, revealSchema } from "../http/schemas/audit.ts";
import type {
  acceptedBatchSchema,
  batchItemSchema,
  batchListSchema,
  batchSchema,
  batchSummarySchema,
  changedCountSchema,
  itemListSchema,
} from "../http/schemas/batch.ts";
import type { newBatchSchema } from "../http/schemas/new-batch.ts";
import type { contactDetailSchema } from "../http/schemas/contact-detail.ts";
import type { contactCountsSchema, contactListSchema } from "../http/schemas/contact-list.ts";
import type {
  changeSchema,
  changesSchema,
  contactSchema,
  historySchema,
  lookupResultSchema,
  lookupSchema,
  refreshPendingSchema,
} from "../http/schemas/contact.ts";
import type {
  hookSchema,
  instanceChangesSchema,
  instanceListSchema,
  instanceSchema,
  newInstanceSchema,
} from "../http/schemas/instance.ts";
import type { keyListSchema, keySchema, madeKeySchema, newKeySchema } from "../http/schemas/api-key.ts";
import type { instanceStatusSchema, statusSchema } from "../http/schemas/status.ts";
import type { planSchema, runListSchema } from "../http/schemas/resync.ts";
import type {
  addedWebhookSchema,
  callbackSecretSchema,
  deliveryListSchema,
  deliverySchema,
  newWebhookSchema,
  replayedSchema,
  replaySchema,
  rotatedSchema,
  webhookChangesSchema,
  webhookListSchema,
  webhookSchema,
} from "../http/schemas/webhook.ts";

// The shapes on the wire, from the server's own schemas: moments are ISO 8601 texts.

/** What is given may be read-only. */
type Immutable<T> = T extends readonly (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Immutable<T[Key]> }
    : T;

export type { BatchState, ContactStatus };
/** What `createBatch` takes: an instance, `chatIds` or `contacts`, and how urgent and how fresh. */
export type NewBatch = Immutable<z.input<typeof newBatchSchema>>;
/** A chat id or a phone number, with an id of your own. */
export type NewContact = NonNullable<NewBatch["contacts"]>[number];
/** What became of a new batch when it was taken in. */
export type AcceptedBatch = z.input<typeof acceptedBatchSchema>;
/** A batch with all its counts. */
export type Batch = z.input<typeof batchSchema>;
/** A batch without what has to be counted. */
export type BatchSummary = z.input<typeof batchSummarySchema>;
export type BatchList = z.input<typeof batchListSchema>;
/** What became of one contact of a batch. */
export type BatchItem = z.input<typeof batchItemSchema>;
export type BatchItemList = z.input<typeof itemListSchema>;
export type BatchItemStatus = BatchItem["status"];
/** How many contacts a cancellation or a retry concerned. */
export type BatchChange = z.input<typeof changedCountSchema>;
/** All that is known of one contact. */
export type Contact = z.input<typeof contactSchema>;
/** The same, with what becomes of it next. */
export type ContactDetail = z.input<typeof contactDetailSchema>;
export type ContactList = z.input<typeof contactListSchema>;
/** How many there are of each status. */
export type ContactCounts = z.input<typeof contactCountsSchema>;
/** A contact that is not asked yet. */
export type RefreshPending = z.input<typeof refreshPendingSchema>;
export type ContactLookup = Immutable<z.input<typeof lookupSchema>>;
export type ContactLookupResult = z.input<typeof lookupResultSchema>;
/** One change of an avatar. */
export type AvatarChange = z.input<typeof changeSchema>;
export type AvatarChanges = z.input<typeof changesSchema>;
export type AvatarHistory = z.input<typeof historySchema>;
export type Instance = z.input<typeof instanceSchema>;
/** Where GREEN-API's notifications go, and the token that they come with: it is not shown again. */
export type Hook = z.input<typeof hookSchema>;
export type InstanceList = z.input<typeof instanceListSchema>;
export type NewInstance = Immutable<z.input<typeof newInstanceSchema>>;
/** What is due, and how far the next window of the resync gets. */
export type ResyncPlan = z.input<typeof planSchema>;
export type ResyncRunList = z.input<typeof runListSchema>;
/** A night, or another stretch of refreshing one instance. */
export type ResyncRun = ResyncRunList["items"][number];
export type InstanceChanges = Immutable<z.input<typeof instanceChangesSchema>>;
/** An endpoint that is told of changes and events. */
export type Webhook = z.input<typeof webhookSchema>;
export type WebhookList = z.input<typeof webhookListSchema>;
export type NewWebhook = Immutable<z.input<typeof newWebhookSchema>>;
export type WebhookChanges = Immutable<z.input<typeof webhookChangesSchema>>;
/** With its secret, this once. */
export type AddedWebhook = z.input<typeof addedWebhookSchema>;
export type RotatedWebhook = z.input<typeof rotatedSchema>;
/** One try to tell an endpoint of an event. */
export type WebhookDelivery = z.input<typeof deliverySchema>;
export type WebhookDeliveryList = z.input<typeof deliveryListSchema>;
export type WebhookReplay = Immutable<z.input<typeof replaySchema>>;
export type ReplayedWebhook = z.input<typeof replayedSchema>;
export type CallbackSecret = z.input<typeof callbackSecretSchema>;

/** Who did what. */
export type AuditList = z.input<typeof auditListSchema>;
export type AuditRecord = AuditList["items"][number];
/** Whose numbers are shown. */
export type Reveal = Immutable<z.input<typeof revealSchema>>;
/** Where an instance stands: its share of the budget, why it is held, what waits. */
export type InstanceStatus = z.input<typeof instanceStatusSchema>;
export type Status = z.input<typeof statusSchema>;
/** A key of the API, without its secret. */
export type ApiKey = z.input<typeof keySchema>;
export type ApiKeyList = z.input<typeof keyListSchema>;
export type NewApiKey = Immutable<z.input<typeof newKeySchema>>;
/** A key with its token, which can never be read again. */
export type MadeApiKey = z.input<typeof madeKeySchema>;

export interface Health {
  readonly status: "ok";
}

/** `degraded`: requests are served, and something else is away. */
export interface Readiness {
  readonly status: "ready" | "degraded" | "not-ready";
  readonly missing: readonly { readonly name: string; readonly detail: string }[];
}

/** One row of a results file. */
export interface BatchResult {
  readonly instance_id: string;
  readonly chat_id: string;
  readonly external_ref: string | null;
  readonly status: ContactStatus;
  readonly avatar_url: string | null;
  readonly url_expires_at: string | null;
  readonly checked_at: string | null;
  readonly attempts: number;
  readonly last_error: string | null;
  /** Null: images are off. */
  readonly image_url: string | null;
  readonly image_sha256: string | null;
  readonly image_width: number | null;
  readonly image_height: number | null;
  readonly image_at: string | null;
  readonly image_old: boolean;
  /** Of a batch: the line, row, card or item of its input where the contact first stood; its index in a JSON request. */
  readonly position: number | null;
}
