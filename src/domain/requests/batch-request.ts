import type { Actor } from "../audit.ts";
import type { InstanceId } from "../instance-id.ts";
import type { AcceptedAs, BatchSummary } from "../views/batch.ts";

/** The sender of a request over HTTP, and the mark by which a repetition is told from a new request. */
export interface Asker {
  readonly apiKeyId: string;
  /** The header `Idempotency-Key`; undefined: each request is a new one. */
  readonly idempotencyKey: string | undefined;
  /** The same sender, for the audit log. Undefined: no row is written. */
  readonly by?: Actor;
}

/** The properties of a batch that is to be opened. */
export interface NewBatch {
  readonly instanceId: InstanceId;
  /** The way in, as in {@link BatchSummary}. */
  readonly source: string;
  readonly label: string | undefined;
  /** 0 interactive, 1 import, 2 resync. */
  readonly priority: number;
  /** An answer younger than this is fresh enough: its contact costs no call. */
  readonly maxAgeMs: number;
}

/** A batch that a key of the API asks for. */
export interface RequestedBatch extends NewBatch {
  readonly callbackUrl: string | undefined;
}

/** A batch as it was when it was taken in. */
export interface AcceptedBatch {
  readonly kind: "accepted";
  readonly batch: Pick<BatchSummary, "batchId" | "requestedAt" | "accepted" | "duplicates" | "rejected">;
  readonly etaMs: number | undefined;
  /** True: an earlier request with the same idempotency key was answered so. */
  readonly replayed: boolean;
}

/** A whole request, taken in. */
export interface AcceptedRequest extends AcceptedBatch {
  /** The fate of each of its contacts, in their order. */
  readonly acceptedAs: readonly AcceptedAs[];
}

/** A request that was not taken in. */
export interface BatchRefusal {
  /**
   * `in-progress`: the first request with this idempotency key is still at work. `other-body`: the key came with another body
   * before.
   */
  readonly kind: "unknown-instance" | "in-progress" | "other-body";
}
