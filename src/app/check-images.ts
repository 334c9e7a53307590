import type { ImageFacts } from "../domain/images/image.ts";
import type { ImageCheck } from "../domain/views/image-check.ts";
import { listKeysOfHash, parseBlobKey, toBlobKey, type BlobKey } from "../images/blobs/blob-key.ts";
import type { BlobEntry, BlobStore } from "../images/blobs/blob-store.ts";
import {
  findStandingImages,
  findUnknownImages,
  findUnshownImages,
  listImages,
} from "../store/images/list-images.ts";
import { removeUnknownImage } from "../store/images/remove-unknown-image.ts";
import { removeImage } from "../store/images/remove-unused-images.ts";
import { wantLostImage } from "../store/images/want-images.ts";
import type { Database } from "../store/postgres/database.ts";

/** Bytes that are younger may be those of a row that is being written: they are no fault. */
const orphanAfterMs = 10 * 60_000;
/** Bytes that are looked for at the same time. */
const lookedAtAtOnce = 16;
/** Blobs whose rows are looked for in one statement. */
const entriesAtOnce = 1_000;

export interface CheckPorts extends Pick<Database, "pool"> {
  readonly blobs: BlobStore;
  /** Is all mended that is found? */
  readonly repair: boolean;
  readonly signal: AbortSignal;
}

/**
 * Holds rows and bytes against each other. A row without bytes has its image taken again; an image that nothing shows and bytes
 * without a row are removed. What a worker is about to remove is no fault.
 * @throws UserError as the store says; the signal's reason
 */
export async function checkImages(ports: CheckPorts): Promise<ImageCheck> {
  await ports.blobs.check();
  const ofRows = await checkRows(ports);
  const ofBlobs = await checkBlobs(ports);
  return { ...ofRows, ...ofBlobs };
}

async function checkRows({ pool, blobs, repair, signal }: CheckPorts) {
  const counts = { images: 0, bytes: 0, missing: 0, asked: 0, unshown: 0 };
  for await (const page of listImages(pool)) {
    signal.throwIfAborted();
    counts.images += page.length;
    counts.bytes += page.reduce((sum, { bytes }) => sum + bytes, 0);
    const unshown = await findUnshownImages(pool, toHashes(page));
    const left = unshown.filter(({ isNoted }) => !isNoted);
    counts.unshown += left.length;
    if (repair)
      for (const { sha256 } of left)
        await removeImage(pool, sha256, {
          removeBytes: async (hash) => removeAll(blobs, hash),
          keepsHistory: true,
        });
    const gone = new Set(unshown.map(({ sha256 }) => sha256.toString("hex")));
    const shown = page.filter(({ sha256 }) => !gone.has(sha256.toString("hex")));
    const missing = await findMissing(blobs, shown);
    for (const sha256 of await findStandingImages(pool, toHashes(missing))) {
      counts.missing += 1;
      if (repair) counts.asked += await wantLostImage(pool, sha256);
    }
  }
  return counts;
}

const toHashes = (images: readonly ImageFacts[]) => images.map(({ sha256 }) => sha256);

async function removeAll(blobs: BlobStore, sha256: Buffer): Promise<void> {
  await blobs.remove(listKeysOfHash(sha256.toString("hex")));
}

async function findMissing(blobs: BlobStore, images: readonly ImageFacts[]): Promise<ImageFacts[]> {
  const missing: ImageFacts[] = [];
  let next = 0;
  const lookAtNext = async (): Promise<void> => {
    for (let image = images[next++]; image !== undefined; image = images[next++]) {
      const blob = await blobs.has(toBlobKey(image.sha256.toString("hex")));
      if (blob?.size !== image.bytes) missing.push(image);
    }
  };
  await Promise.all(Array.from({ length: lookedAtAtOnce }, lookAtNext));
  return missing;
}

async function checkBlobs(ports: CheckPorts) {
  const counts = { sizes: 0, orphans: 0 };
  let entries: BlobEntry[] = [];
  const look = async () => {
    counts.orphans += await checkEntries(ports, entries);
    entries = [];
  };
  for await (const entry of ports.blobs.list()) {
    ports.signal.throwIfAborted();
    if (parseBlobKey(entry.key)?.size !== undefined) counts.sizes += 1;
    entries.push(entry);
    if (entries.length >= entriesAtOnce) await look();
  }
  await look();
  return counts;
}

/** @returns blobs whose image has no row, without those that are young; where they are removed, without those that got one */
async function checkEntries(
  { pool, blobs, repair }: CheckPorts,
  entries: readonly BlobEntry[],
): Promise<number> {
  const before = new Date(Date.now() - orphanAfterMs);
  const old = entries.filter(({ modifiedAt }) => modifiedAt < before);
  const byHash = new Map<string, BlobKey[]>();
  for (const { key } of old) {
    const hash = parseBlobKey(key)?.hash ?? "";
    byHash.set(hash, [...(byHash.get(hash) ?? []), key]);
  }
  const hashes = [...byHash.keys()].map((hash) => Buffer.from(hash, "hex"));
  let count = 0;
  for (const hash of await findUnknownImages(pool, hashes)) {
    const orphans = byHash.get(hash.toString("hex")) ?? [];
    if (!repair || (await removeUnknownImage(pool, hash, async () => blobs.remove(orphans))))
      count += orphans.length;
  }
  return count;
}
