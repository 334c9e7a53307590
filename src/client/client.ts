import type { CallOptions, PageOptions } from "./call-options.ts";
import type { ContactMethods } from "./contact-methods.ts";
import type { ChangesOptions } from "./follow-changes.ts";
import type { OperatorMethods } from "./operator-methods.ts";
import type { ContactSource, StreamSource } from "./outgoing-stream.ts";
import type { FollowOptions } from "./watch-batch.ts";
import type {
  AcceptedBatch,
  AuditList,
  AuditRecord,
  AddedWebhook,
  AvatarChanges,
  Batch,
  BatchChange,
  BatchItem,
  BatchItemList,
  BatchItemStatus,
  BatchList,
  BatchResult,
  BatchState,
  BatchSummary,
  CallbackSecret,
  ContactStatus,
  Health,
  Hook,
  Instance,
  InstanceChanges,
  InstanceList,
  NewBatch,
  NewInstance,
  NewWebhook,
  Readiness,
  ReplayedWebhook,
  ResyncPlan,
  ResyncRun,
  ResyncRunList,
  Reveal,
  RotatedWebhook,
  Webhook,
  WebhookChanges,
  WebhookDelivery,
  WebhookDeliveryList,
  WebhookList,
  WebhookReplay,
} from "./wire.ts";

/** Of a call that makes a batch. */
export interface EnqueueOptions extends CallOptions {
  /** The same for the same request, also after a crash: then it is done once. Without it each call has a random one, for all its tries. */
  readonly idempotencyKey?: string | undefined;
  /** Refuse all of it when one item is no contact. */
  readonly strict?: boolean | undefined;
}

/** A batch that comes as a stream of any length; the server commits it chunk by chunk. */
export type NewBatchStream = Pick<NewBatch, "instanceId" | "label" | "callbackUrl"> & {
  readonly priority?: 0 | 1 | 2 | undefined;
  /** Text like `7d`, or seconds. */
  readonly maxAge?: string | number | undefined;
  /** The country of phone numbers without a plus, such as DE. */
  readonly defaultCountry?: string | undefined;
  /** Goes on with this batch, which was cut off: all of it has to come again. */
  readonly resume?: string | undefined;
} & (
    | {
        /** Where it is an array, or a function that makes the iterable anew, a try that fails is repeated. */
        readonly contacts: ContactSource | (() => ContactSource);
      }
    | {
        readonly format: "ndjson" | "csv" | "text" | "vcard" | "xlsx";
        /** Where it is text, bytes, or a function that makes the stream anew, a try that fails is repeated. */
        readonly body: StreamSource | (() => StreamSource);
        /** The column or key of the chat id or phone number; found by its name otherwise. */
        readonly column?: string | undefined;
        /** The column or key of your own id; `external_ref` otherwise. */
        readonly refColumn?: string | undefined;
        /** Of each record one number alone, the likeliest mobile; all of them otherwise. */
        readonly firstNumber?: boolean | undefined;
        /** Of text, such as `windows-1251`; found out otherwise. */
        readonly encoding?: string | undefined;
        /** Of a workbook; the first with a column of numbers otherwise. */
        readonly sheet?: string | undefined;
      }
  );

export interface BatchFilter {
  readonly instanceId?: string | undefined;
  readonly state?: readonly BatchState[] | undefined;
  /** Also the batches that `refreshContact` makes, and signals of the provider. */
  readonly refreshes?: boolean | undefined;
}

export interface ResyncRunFilter {
  readonly instanceId?: string | undefined;
  readonly kind?: ResyncRun["kind"] | undefined;
}

/** Which rows of the audit log; moments are ISO 8601 texts. */
export interface AuditFilter {
  readonly instanceId?: string | undefined;
  /** The id of a key, the name of a user of the command line, or `worker`. */
  readonly actor?: string | undefined;
  /** `instance.paused`, or `instance.` for all that begin so. */
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
  /** Where the number of this contact was shown. */
  readonly contact?: string | undefined;
  readonly from?: string | undefined;
  readonly until?: string | undefined;
}

export interface ItemFilter {
  readonly status?: readonly BatchItemStatus[] | undefined;
}

export interface ResultFilter {
  readonly status?: readonly ContactStatus[] | undefined;
}

/** `removing`: it takes longer and goes on; the call may be repeated until it is `removed`. */
export type Removed = "removed" | "removing";

/**
 * The API: a method for each `operationId` of its document, and iterators over what has pages. All throw `ApiProblem`, and
 * TypeError for an id that cannot be part of a path. What failed for a while is tried again, as `Retry-After` says, where that is harmless.
 */
export interface Client extends ContactMethods, OperatorMethods {
  /** Asks for up to 10,000 contacts. When it resolves, they are committed. */
  createBatch(batch: NewBatch, options?: EnqueueOptions): Promise<AcceptedBatch>;
  /**
   * Asks for any number of contacts. A problem with a `batchId` has left this batch incomplete: the same stream with the same
   * idempotency key, or with `resume`, goes on with it. In browsers it needs HTTP/2.
   */
  streamBatch(stream: NewBatchStream, options?: EnqueueOptions): Promise<AcceptedBatch>;
  listBatches(filter?: BatchFilter & PageOptions, options?: CallOptions): Promise<BatchList>;
  /** All batches, newest first, page by page. */
  iterateBatches(filter?: BatchFilter & PageOptions, options?: CallOptions): AsyncIterable<BatchSummary>;
  getBatch(id: string, options?: CallOptions): Promise<Batch>;
  listBatchItems(
    id: string,
    filter?: ItemFilter & PageOptions,
    options?: CallOptions,
  ): Promise<BatchItemList>;
  /** All contacts of a batch, page by page. */
  iterateBatchItems(
    id: string,
    filter?: ItemFilter & PageOptions,
    options?: CallOptions,
  ): AsyncIterable<BatchItem>;
  /** The results file, in pieces of any size. Throws when the download is cut short. */
  getBatchResultsCsv(id: string, filter?: ResultFilter, options?: CallOptions): AsyncIterable<string>;
  /** The results file, row by row. Throws when the download is cut short. */
  getBatchResultsNdjson(id: string, filter?: ResultFilter, options?: CallOptions): AsyncIterable<BatchResult>;
  /**
   * The batch now, and whenever a count has changed, at most once a second; the last one is `done` or `cancelled`. Connections
   * that break are made again without telling anything twice.
   */
  watchBatch(id: string, options?: FollowOptions): AsyncIterable<Batch>;
  cancelBatch(id: string, options?: CallOptions): Promise<BatchChange>;
  /** Asks again for all contacts of the batch without a clear answer. */
  retryBatch(id: string, options?: CallOptions): Promise<BatchChange>;
  listChanges(
    page?: PageOptions & { readonly instanceId?: string | undefined },
    options?: CallOptions,
  ): Promise<AvatarChanges>;
  /**
   * The feed of changes, on and on: a page whenever there is something new. Keep its `next` with what you make of its
   * `items`, and begin with it as `cursor` after a restart: then no change is missed and none comes twice.
   */
  changes(options?: ChangesOptions): AsyncIterable<AvatarChanges>;
  listInstances(options?: CallOptions): Promise<InstanceList>;
  getInstance(id: string, options?: CallOptions): Promise<Instance>;
  addInstance(instance: NewInstance, options?: CallOptions): Promise<Instance>;
  /** What is left out stays; null takes a setting away. */
  changeInstance(id: string, changes: InstanceChanges, options?: CallOptions): Promise<Instance>;
  pauseInstance(id: string, options?: CallOptions): Promise<Instance>;
  resumeInstance(id: string, options?: CallOptions): Promise<Instance>;
  /** @param options `contacts`: `erase` removes its contacts too, `keep` (default) refuses where there are any */
  removeInstance(
    id: string,
    options?: CallOptions & { readonly contacts?: "keep" | "erase" | undefined },
  ): Promise<Removed>;
  /** Makes the token that the instance's notifications come with; an earlier one ends. */
  renewHook(id: string, options?: CallOptions): Promise<Hook>;
  /** Takes no notifications of the instance any more. */
  removeHook(id: string, options?: CallOptions): Promise<void>;
  /** What is due, and how far the next window of the resync gets. */
  getResyncPlan(
    filter?: { readonly instanceId?: string | undefined },
    options?: CallOptions,
  ): Promise<ResyncPlan>;
  listResyncRuns(filter?: ResyncRunFilter & PageOptions, options?: CallOptions): Promise<ResyncRunList>;
  /** All nights and other stretches of refreshing, newest first, page by page. */
  iterateResyncRuns(filter?: ResyncRunFilter & PageOptions, options?: CallOptions): AsyncIterable<ResyncRun>;
  /** Who did what, newest first. */
  listAudit(filter?: AuditFilter & PageOptions, options?: CallOptions): Promise<AuditList>;
  /** Who did what, newest first, page by page. */
  iterateAudit(filter?: AuditFilter & PageOptions, options?: CallOptions): AsyncIterable<AuditRecord>;
  /** Has the audit log tell that these contacts' numbers are shown. */
  noteReveal(reveal: Reveal, options?: CallOptions): Promise<void>;
  listWebhooks(options?: CallOptions): Promise<WebhookList>;
  getWebhook(id: string, options?: CallOptions): Promise<Webhook>;
  /** The answer holds the secret, this once. */
  addWebhook(webhook: NewWebhook, options?: CallOptions): Promise<AddedWebhook>;
  /** What is left out stays; null takes a setting away. */
  changeWebhook(id: string, changes: WebhookChanges, options?: CallOptions): Promise<Webhook>;
  /** @param from where it goes on: what it has not been told yet, or what comes from now on */
  enableWebhook(id: string, from: "stopped" | "now", options?: CallOptions): Promise<Webhook>;
  disableWebhook(id: string, options?: CallOptions): Promise<Webhook>;
  /** A new secret, this once; the one before signs too for a day. */
  rotateWebhook(id: string, options?: CallOptions): Promise<RotatedWebhook>;
  /** Sends a test, once, and tells how it went. */
  testWebhook(id: string, options?: CallOptions): Promise<WebhookDelivery>;
  listWebhookDeliveries(
    id: string,
    filter?: PageOptions & { readonly failed?: boolean | undefined },
    options?: CallOptions,
  ): Promise<WebhookDeliveryList>;
  /** Sets its place in the feed back: it is told again of all from there on. */
  replayWebhook(id: string, from: WebhookReplay, options?: CallOptions): Promise<ReplayedWebhook>;
  /** Sends one event of the feed again, once, and tells how it went. */
  redeliverWebhook(id: string, feedId: number, options?: CallOptions): Promise<WebhookDelivery>;
  removeWebhook(id: string, options?: CallOptions): Promise<void>;
  /** The secret that requests to the `callbackUrl` of this key's batches are signed with. */
  getCallbackSecret(options?: CallOptions): Promise<CallbackSecret>;
  getHealth(options?: CallOptions): Promise<Health>;
  /** Also when it is not ready: what is missing. */
  getReadiness(options?: CallOptions): Promise<Readiness>;
  /** In the text format of Prometheus. */
  getMetrics(options?: CallOptions): Promise<string>;
}
