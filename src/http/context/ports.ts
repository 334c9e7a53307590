import type { Readable } from "node:stream";
import type { ApiKey, StoredApiKey } from "../../domain/api-key.ts";
import type {
  AcceptedAs,
  BatchItem,
  BatchReport,
  BatchState,
  BatchSummary,
} from "../../domain/views/batch.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { AvatarChange, ContactView } from "../../domain/views/contact-view.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { CredentialRefusal } from "../../domain/judge-credentials.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import type { Page, PageRequest } from "../../domain/page.ts";
import type { PlanWindow, ResyncPlan } from "../../domain/resync/plan-resync.ts";
import type { ResyncKind, ResyncRun } from "../../domain/resync/resync-run.ts";

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
  plan(): Promise<{
    readonly now: Date;
    readonly window: PlanWindow | undefined;
    readonly instances: readonly ResyncPlan[];
  }>;
  /** The newest first. */
  listRuns(
    filter: {
      readonly instanceIds: readonly InstanceId[] | undefined;
      readonly kind: ResyncKind | undefined;
    },
    page: { readonly after: number | undefined; readonly limit: number },
  ): Promise<{ readonly items: readonly ResyncRun[]; readonly next: number | undefined }>;
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

/** Who asks, and how a repetition is told from a new request. */
export interface Asker {
  readonly apiKeyId: string;
  /** Of the header `Idempotency-Key`. */
  readonly idempotencyKey: string | undefined;
}

export interface BatchWish {
  readonly instanceId: InstanceId;
  readonly source: "api" | "refresh";
  readonly label: string | undefined;
  readonly priority: number;
  readonly maxAgeMs: number;
  readonly callbackUrl: string | undefined;
}

export interface WishedContact {
  readonly chatId: ChatId;
  readonly externalRef: string | undefined;
  /** The index in the request. */
  readonly position: number;
}

/** Why a request was not taken in. */
export type Refusal =
  | { readonly kind: "unknown-instance" }
  /** The first request with this idempotency key is still at work. */
  | { readonly kind: "in-progress" }
  /** The idempotency key came with another body before. */
  | { readonly kind: "other-body" };

export interface AcceptedBatch {
  readonly kind: "accepted";
  /** As it was when it was taken in. */
  readonly batch: Pick<BatchSummary, "batchId" | "requestedAt" | "accepted" | "duplicates" | "rejected">;
  readonly etaMs: number | undefined;
  /** The answer to an earlier request with the same idempotency key. */
  readonly replayed: boolean;
}

export interface BatchPorts {
  /**
   * Takes a whole request in, in one transaction: when it resolves as `accepted` it is committed.
   * @returns how each of `contacts` was taken, in their order
   */
  accept(
    asker: Asker & { readonly fingerprint: string },
    wish: BatchWish,
    contacts: readonly WishedContact[],
    rejected: number,
  ): Promise<(AcceptedBatch & { readonly acceptedAs: readonly AcceptedAs[] }) | Refusal>;
  /**
   * Takes a stream of CSV, NDJSON or plain lines in, chunk by chunk, each committed. Cut off, or ended by an error, it leaves
   * a batch that is `incomplete`; the same idempotency key, or `resume`, goes on with it.
   * @throws UserError for an input that cannot be used, or with `strict` at the first line that is no contact
   */
  receive(
    asker: Asker,
    wish: BatchWish,
    stream: ContactStream,
  ): Promise<ReceivedBatch | Refusal | { readonly kind: "not-resumable" }>;
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

export interface ContactStream {
  readonly source: Readable;
  readonly strict: boolean;
  readonly column: string | undefined;
  readonly refColumn: string | undefined;
  readonly defaultCountry: string | undefined;
  /** Goes on with this batch, which must be incomplete and of the same instance. */
  readonly resume: string | undefined;
  readonly signal: AbortSignal;
  /** Told as soon as the batch exists. */
  readonly opened: (batchId: string) => void;
  /** Told when it does not any more: nothing of the input could be used. */
  readonly takenBack: () => void;
}

export interface ReceivedBatch extends AcceptedBatch {
  /** It went on with a batch that had been cut off. */
  readonly resumed: boolean;
  /** The first hundred lines that are no contacts. */
  readonly rejects: readonly { readonly line: number; readonly text: string; readonly reason: string }[];
}

export interface BatchFilter {
  /** Only of these; undefined: of all. */
  readonly instanceIds: readonly InstanceId[] | undefined;
  readonly states: readonly BatchState[] | undefined;
  /** Those of one refreshed contact too. */
  readonly withRefreshes: boolean;
}

/** What a refresh waits by. */
export interface RefreshTicket {
  readonly batchId: string;
  readonly contactId: number;
  readonly requestedAt: Date;
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
  read(
    instanceIds: readonly InstanceId[] | undefined,
    after: number,
    limit: number,
  ): Promise<{ readonly items: readonly AvatarChange[]; readonly next: number; readonly isMore: boolean }>;
}

export interface InstancePorts {
  list(): Promise<InstanceView[]>;
  find(id: InstanceId): Promise<InstanceView | undefined>;
  /** `known`: there is one with this id already, and it stays. `untrusted-host`: no apiUrl over HTTP may point there. */
  add(
    instance: InstanceWish & { readonly id: InstanceId; readonly apiUrl: string; readonly token: string },
  ): Promise<"added" | "known" | "untrusted-host">;
  /**
   * Changes what is given; null takes a setting away. A new token or URL puts a hold to the test at once. Whether the credentials
   * may change so is judged as they stand at the moment of the write.
   */
  change(
    id: InstanceId,
    changes: InstanceWish & { readonly apiUrl?: string | undefined; readonly token?: string | undefined },
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

export interface InstanceWish {
  readonly label?: string | null | undefined;
  readonly requestsPerSecond?: number | null | undefined;
  readonly maxInFlight?: number | null | undefined;
}
