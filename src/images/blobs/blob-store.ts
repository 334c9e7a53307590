import type { BlobKey } from "./blob-key.ts";

/** Of what is sent along where a store keeps it; never what decides how an image is served. */
export type BlobType = "image/jpeg" | "image/png" | "image/webp";

/** One blob in a listing. */
export interface BlobEntry {
  readonly key: BlobKey;
  /** Bytes. */
  readonly size: number;
  /** When it was last put: also where it was there already. */
  readonly modifiedAt: Date;
}

/**
 * Where the bytes of images are kept, by content. All of it may be called at the same time, by several processes.
 *
 * Errors are UserErrors whose text may be shown: `images-unreachable`, `images-no-space` and `images-failed` may pass
 * (`retryable`); `images-denied`, `images-credentials`, `images-no-bucket`, `images-region`, `images-clock`, `images-unsafe`,
 * `images-refused`, `images-too-large` and `images-closed` need a person, or are a fault of the caller.
 */
export interface BlobStore {
  /**
   * Writes whole or not at all, and is durable when it returns. Writes also where the key is there already: its bytes are the
   * same by its name, and its `modifiedAt` must say that it was wanted now.
   */
  put(key: BlobKey, bytes: Uint8Array, type: BlobType): Promise<void>;
  /** Undefined: there is none. */
  get(key: BlobKey): Promise<{ readonly bytes: Buffer; readonly size: number } | undefined>;
  /** Undefined: there is none. */
  has(key: BlobKey): Promise<{ readonly size: number } | undefined>;
  /** Originals first, then sizes. What is not there is no fault. */
  remove(keys: readonly BlobKey[]): Promise<void>;
  /** All blobs, in no order. What is put or removed meanwhile may be in it or not. Other files are passed over. */
  list(): AsyncIterable<BlobEntry>;
  /** Where images are kept, in one line for people, without secrets. */
  describe(): string;
  /**
   * Writes, and removes again, to see that it can.
   * @returns what an operator should know, as sentences for the log
   */
  check(): Promise<readonly string[]>;
  /** What is under way ends first, or fails with `images-closed`, as all does that is asked later. May be called twice. */
  close(): Promise<void>;
}
