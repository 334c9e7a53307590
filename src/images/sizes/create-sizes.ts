import { LockedError } from "../../lib/errors.ts";
import { createFairLimit, type FairLimit } from "../../lib/fair-limit.ts";
import type { ImageSize } from "../../domain/images/image.ts";
import { toBlobKey } from "../blobs/blob-key.ts";
import type { BlobStore, BlobType } from "../blobs/blob-store.ts";
import type { Resizer } from "./open-resizer.ts";
import { isRemembered, remember, type RecentHashes } from "./recent-hashes.ts";

/** An image that is kept: its hash, and the type that its bytes have. */
export interface KeptImage {
  readonly hash: string;
  readonly type: BlobType;
}

/** What is to be served for a size. */
export type SizedImage =
  /** Of the original's type. */
  | { readonly kind: "sized"; readonly bytes: Buffer }
  /** The original: there is no sharp, it cannot read the image, or it has too much to do. */
  | { readonly kind: "original"; readonly because: "no-resizer" | "unreadable" | "busy" }
  /** There is no original either: erased meanwhile, or lost. */
  | { readonly kind: "missing" };

export interface Sizes {
  /**
   * One size of an image: as it is kept, else made and then kept. Of those who ask at the same time all get the same one.
   * @throws UserError as the store says, where neither the size nor the original can be read
   */
  get(image: KeptImage, size: ImageSize): Promise<SizedImage>;
}

export interface SizesPorts {
  readonly blobs: BlobStore;
  /** Undefined: sizes that other processes have made are served all the same. */
  readonly resizer: Resizer | undefined;
  /** A size was made and is served, but could not be kept. */
  readonly onNotKept: (error: unknown) => void;
  /** A monotonic clock, ms. */
  readonly now: () => number;
  /** Resizes at a time. */
  readonly atOnce?: number;
  /** How many more may wait for their turn. */
  readonly mostWaiting?: number;
  /** And how long. */
  readonly waitMs?: number;
}

/** How long an image that cannot be read is left alone, and how many of them are remembered. */
const unreadableMs = 600_000;
const mostUnreadable = 10_000;

export function createSizes(ports: SizesPorts): Sizes {
  const { blobs, resizer, now, atOnce = 2, mostWaiting = 64, waitMs = 2_000 } = ports;
  const limit = createFairLimit({ perKey: atOnce, all: atOnce, mostWaiting, waitMs });
  const unreadable: RecentHashes = { until: new Map(), keepMs: unreadableMs, most: mostUnreadable };
  const flights = new Map<string, Promise<SizedImage>>();

  async function find(image: KeptImage, size: ImageSize): Promise<SizedImage> {
    const kept = await blobs.get(toBlobKey(image.hash, size));
    if (kept !== undefined) return { kind: "sized", bytes: kept.bytes };
    if (resizer === undefined) return { kind: "original", because: "no-resizer" };
    if (isRemembered(unreadable, image.hash, now())) return { kind: "original", because: "unreadable" };
    const made = await inTurn(limit, () => make(ports, resizer, image, size));
    if (made.kind === "original" && made.because === "unreadable") remember(unreadable, image.hash, now());
    return made;
  }

  return {
    get(image, size) {
      const key = toBlobKey(image.hash, size);
      const flying = flights.get(key);
      if (flying !== undefined) return flying;
      const flight = find(image, size).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    },
  };
}

/** The original is read when it is its turn, so that those who wait hold no bytes. */
async function inTurn(limit: FairLimit, work: () => Promise<SizedImage>): Promise<SizedImage> {
  try {
    return await limit.run("resize", work);
  } catch (error) {
    if (error instanceof LockedError) return { kind: "original", because: "busy" };
    throw error;
  }
}

async function make(
  { blobs, onNotKept }: SizesPorts,
  resizer: Resizer,
  { hash, type }: KeptImage,
  size: ImageSize,
): Promise<SizedImage> {
  const original = await blobs.get(toBlobKey(hash));
  if (original === undefined) return { kind: "missing" };
  const bytes = await resizer.resize(original.bytes, size);
  if (bytes === undefined) return { kind: "original", because: "unreadable" };
  try {
    const key = toBlobKey(hash, size);
    await blobs.put(key, bytes, type);
    // Erased meanwhile: the eraser takes originals away first, so that one of us sees the other's work.
    if ((await blobs.has(toBlobKey(hash))) === undefined) {
      await blobs.remove([key]);
      return { kind: "missing" };
    }
  } catch (error) {
    onNotKept(error);
  }
  return { kind: "sized", bytes };
}
