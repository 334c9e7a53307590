import type { Actor } from "../domain/audit.ts";
import type { ImageSize, ImageType } from "../domain/images/image.ts";
import type { ImageCheck } from "../domain/views/image-check.ts";
import type { ImageGauges } from "../domain/views/image-gauges.ts";
import type { BatchImages } from "../domain/views/batch-images.ts";
import { toBlobKey } from "../images/blobs/blob-key.ts";
import { inspectImage } from "../images/inspect-image.ts";
import { recordAudit } from "../store/audit/record-audit.ts";
import { countBatchImages } from "../store/images/count-batch-images.ts";
import { readImageGauges } from "../store/images/read-image-gauges.ts";
import type { Database } from "../store/postgres/database.ts";
import { checkImages } from "./check-images.ts";
import type { Images } from "./images.ts";

/** A person waits for them. */
const gaugesDeadlineMs = 30_000;

/** An image as a file of its own. */
export interface ImageFile {
  readonly type: ImageType;
  readonly bytes: Buffer;
}

/** Images for commands that write them to files. */
export interface ImageFiles {
  /** Where images are kept, in words. Undefined: they are off. */
  describe(): Promise<string | undefined>;
  /**
   * The image of this hash, in hex. Undefined: it is not kept.
   * @param size a square of so many pixels; the image as it was taken where none can be made
   */
  read(sha256: string, size?: ImageSize): Promise<ImageFile | undefined>;
  countOfBatch(batchId: string): Promise<BatchImages>;
  /** Where all of them stand. Takes longer the more avatars there are. */
  readGauges(): Promise<ImageGauges>;
  /**
   * Holds rows and bytes against each other, and mends what is found. Undefined: images are off. A repair is in the audit log
   * from before its first step.
   */
  check(
    options: { readonly repair: boolean; readonly signal: AbortSignal },
    by: Actor,
  ): Promise<ImageCheck | undefined>;
}

/** @param getImages opens the store when it is first needed */
export function createImageFiles(
  getImages: () => Promise<Images | undefined>,
  { pool }: Pick<Database, "pool">,
): ImageFiles {
  return {
    describe: async () => (await getImages())?.blobs.describe(),
    async read(hash, size) {
      const images = await getImages();
      const original = images && (await readOriginal(images, hash));
      if (images === undefined || original === undefined || size === undefined) return original;
      const sized = await images.sizes.get({ hash, type: original.type }, size);
      return sized.kind === "sized" ? { type: original.type, bytes: sized.bytes } : original;
    },
    countOfBatch: async (batchId) => countBatchImages(pool, batchId),
    readGauges: async () => readImageGauges(pool, gaugesDeadlineMs),
    async check(options, by) {
      const images = await getImages();
      if (images === undefined) return undefined;
      if (options.repair) await recordAudit(pool, by, { action: "images.repaired" });
      return checkImages({ pool, blobs: images.blobs, ...options });
    },
  };
}

async function readOriginal({ blobs }: Images, hash: string): Promise<ImageFile | undefined> {
  const blob = await blobs.get(toBlobKey(hash));
  const seen = blob && inspectImage(blob.bytes);
  return seen?.kind === "taken" ? { type: seen.type, bytes: seen.bytes } : undefined;
}
