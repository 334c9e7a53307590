import type { Readable } from "node:stream";
import type { ApiKey, StoredApiKey } from "../../domain/api-key.ts";
import type { BatchFilter, BatchItem, BatchReport, BatchSummary } from "../../domain/views/batch.ts";
import type {
  AcceptedRequest,
  Asker,
  BatchRefusal,
  RequestedBatch,
} from "../../domain/requests/batch-request.ts";
import type { ContactStream, NotResumable, ReceivedBatch } from "../../domain/requests/contact-stream.ts";
import type { IncomingContact } from "../../domain/requests/incoming-contact.ts";
import type { RefreshTicket } from "../../domain/requests/refresh-ticket.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { AvatarChange, ChangePage, ContactView } from "../../domain/views/contact-view.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { CredentialRefusal } from "../../domain/judge-credentials.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import type { InstanceSettings, InstanceView } from "../../domain/views/instance-view.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import type { ResyncForecast } from "../../domain/resync/plan-resync.ts";
import type { RunFilter, RunPage } from "../../domain/resync/resync-run.ts";

/** All that the API does, it does through these. What fails because Postgres is slow or away rejects with an error that `isTransient` knows. */
export interface ApiPorts {
  readonly keys: ApiKeyPorts;
  readonly batches: BatchPorts;
  readonly contacts: ContactPorts;
  readonly changes: ChangePorts;
  readonly instances: InstancePorts;
  readonly resync: ResyncPorts;
  /** What is missing before requests can be served; empty: ready. Never rejects, and answers within 3 s. */
  readonly findMissing: () => Promise<readonly MissingPart[]>;
  /** For Prometheus. */
  readonly scrape: () => Promise<{ readonly text: string; readonly contentType: string }>;
  readonly isTransient: (error: unknown) => boolean;
  /** So many wait for Postgres already that a further request would not be served in time. */
  readonly isOverloaded: () => boolean;
  /** Reads a chat id or a phone number with its country code (intake/ids/contact-id.ts). */
  readonly parseContactId: (
    text: string,
  ) => { readonly ok: true; readonly chatId: ChatId } | { readonly ok: false; readonly reason: string };
  /** Writes the rows of a results file. */
  readonly formatResults: (format: "csv" | "ndjson", rows: AsyncIterable<ResultRow>) => Readable;
}

export interface ResyncPorts {
  /** What is due, and how far the next window gets; of all instances. It may be half a minute old. */
  plan(): Promise<ResyncForecast>;
  /** The newest first. */
  listRuns(
    filter: RunFilter,
    page: { readonly after: number | undefined; readonly limit: number },
  ): Promise<RunPage>;
}

/** Something that requests need and that is not there. */
export interface MissingPart {
  /** `postgres`, `migrations`, `queue`, `stopping`. */
  readonly name: string;
  readonly detail: string;
  /** Requests are served all the same: the queue is made up for by the sweep. */
  readonly isDegraded: boolean;
}

export interface ApiKeyPorts {
  /** In any order; ids without a key are left out. At most 1,000 at once. */
  findMany(ids: readonly string[]): Promise<readonly StoredApiKey[]>;
  /** HMAC-SHA256 of a secret, by this installation's key. */
  hmac(secret: string): Buffer;
  /** Notes that the key was used, at most once a minute each. Never rejects. */
  noteUse(key: ApiKey): void;
}

export interface BatchPorts {
  /**
   * Takes a whole request in, in one transaction: when it resolves as `accepted` it is committed.
   * @returns how each of `contacts` was taken, in their order
   */
  accept(
    asker: Asker & { readonly fingerprint: string },
    wish: RequestedBatch,
    contacts: readonly IncomingContact[],
    rejected: number,
  ): Promise<AcceptedRequest | BatchRefusal>;
  /**
   * Takes a stream of CSV, NDJSON or plain lines in, chunk by chunk, each committed. Cut off, or ended by an error, it leaves
   * a batch that is `incomplete`; the same idempotency key, or `resume`, goes on with it.
   * @throws UserError for an input that cannot be used, or with `strict` at the first line that is no contact
   */
  receive(
    asker: Asker,
    wish: RequestedBatch,
    stream: ContactStream,
  ): Promise<ReceivedBatch | BatchRefusal | NotResumable>;
  list(filter: BatchFilter, page: PageRequest): Promise<Page<BatchSummary>>;
  findSummary(batchId: string): Promise<BatchSummary | undefined>;
  find(batchId: string): Promise<BatchReport | undefined>;
  listItems(
    batchId: string,
    statuses: readonly BatchItem["status"][] | undefined,
    page: PageRequest,
  ): Promise<Page<BatchItem>>;
  readResults(batchId: string, statuses: readonly ContactStatus[] | undefined): AsyncGenerator<ResultRow>;
  /**
   * The batch now, and again whenever a count has changed, at most once a second; ends with the batch, or when the signal
   * is aborted. Watchers of one batch share its reads.
   */
  watch(batchId: string, signal: AbortSignal): AsyncIterable<BatchReport>;
  /** Ends the batch: it waits for its contacts no more, but another batch may. Returns how many were given up. */
  cancel(batchId: string): Promise<number>;
  /** Asks again for all contacts without a clear answer that is fresh enough. Returns how many. */
  retry(batchId: string): Promise<number>;
}

export interface ContactPorts {
  find(instanceId: InstanceId, chatId: ChatId): Promise<ContactView | undefined>;
  /** In any order; those that are not known are left out. */
  findMany(instanceId: InstanceId, chatIds: readonly ChatId[]): Promise<ContactView[]>;
  /** Newest first. Undefined: no such contact. */
  listChanges(
    instanceId: InstanceId,
    chatId: ChatId,
    page: PageRequest,
  ): Promise<Page<AvatarChange> | undefined>;
  /** Asks for the contact before all others; makes it where it is not known. Undefined: no such instance. */
  refresh(apiKeyId: string, instanceId: InstanceId, chatId: ChatId): Promise<RefreshTicket | undefined>;
  /** Resolves with true when the refresh has its answer, or has failed for good; with false when the signal is aborted. */
  whenAnswered(ticket: RefreshTicket, signal: AbortSignal): Promise<boolean>;
  /** Erases the contact with its avatar, its history and all that waits for it. False: there was none. */
  erase(instanceId: InstanceId, chatId: ChatId): Promise<boolean>;
}

export interface ChangePorts {
  /**
   * Changes after `after`, oldest first: none is missed and none repeated by reading on from `next`, which is always given,
   * also with an empty page. `isMore`: there may be more at once.
   */
  read(instanceIds: readonly InstanceId[] | undefined, after: number, limit: number): Promise<ChangePage>;
}

export interface InstancePorts {
  list(): Promise<InstanceView[]>;
  find(id: InstanceId): Promise<InstanceView | undefined>;
  /** `known`: there is one with this id already, and it stays. `untrusted-host`: no apiUrl over HTTP may point there. */
  add(
    instance: InstanceSettings & { readonly id: InstanceId; readonly apiUrl: string; readonly token: string },
  ): Promise<"added" | "known" | "untrusted-host">;
  /**
   * Changes what is given; null takes a setting away. A new token or URL puts a hold to the test at once. Whether the credentials
   * may change so is judged as they stand at the moment of the write.
   */
  change(
    id: InstanceId,
    changes: InstanceSettings & { readonly token?: string | undefined },
  ): Promise<
    | { readonly kind: "changed"; readonly after: InstanceView }
    | { readonly kind: "refused"; readonly refusal: CredentialRefusal }
    | { readonly kind: "unknown" }
  >;
  setPaused(id: InstanceId, paused: boolean): Promise<InstanceView | undefined>;
  /** Removes it unless it has contacts, also such as come at the same time. False: it has, and stays as it is. */
  removeEmpty(id: InstanceId): Promise<boolean>;
  /**
   * Pauses it, and removes it with its contacts, in steps that commit; what is stopped half way is finished by the next call.
   * False: it takes longer than a request should, and goes on.
   */
  remove(id: InstanceId): Promise<boolean>;
}
