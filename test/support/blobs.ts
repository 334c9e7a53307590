import { createHash, randomBytes } from "node:crypto";
import type { ImageSize } from "../../src/domain/images/image.ts";
import { toBlobKey, type BlobKey } from "../../src/images/blobs/blob-key.ts";
import type { BlobEntry, BlobStore } from "../../src/images/blobs/blob-store.ts";

export interface TestBlob {
  readonly hash: string;
  readonly key: BlobKey;
  readonly bytes: Buffer;
  /** The key of one of its sizes. */
  sizeKey(size: ImageSize): BlobKey;
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Random bytes, unless given, under their own hash. */
export function makeBlob(content: number | Buffer = 1000): TestBlob {
  const bytes = typeof content === "number" ? randomBytes(content) : content;
  const hash = hashOf(bytes);
  return { hash, key: toBlobKey(hash), bytes, sizeKey: (size) => toBlobKey(hash, size) };
}

export async function listAll(store: BlobStore): Promise<BlobEntry[]> {
  const entries: BlobEntry[] = [];
  for await (const entry of store.list()) entries.push(entry);
  return entries.toSorted((one, other) => (one.key < other.key ? -1 : 1));
}
