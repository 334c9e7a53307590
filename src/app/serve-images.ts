import type { ServedImages } from "../http/routes/images/image-answer.ts";
import { createImageSeed, readImageToken } from "../images/address/image-token.ts";
import { toBlobKey } from "../images/blobs/blob-key.ts";
import { blankImage } from "../images/fallback/blank-image.ts";
import { drawSilhouette } from "../images/fallback/draw-silhouette.ts";
import { batchReads } from "../lib/reads/batch-reads.ts";
import { findShownImages } from "../store/images/find-shown-images.ts";
import { wantLostImage } from "../store/images/want-images.ts";
import type { Database } from "../store/postgres/database.ts";
import type { Images } from "./images.ts";
import type { LogEvents } from "./log-events.ts";

/** Contacts of one read: a page of a list. */
const foundAtOnce = 500;

/** Serves images: rows by the connections of the API, many in one statement, and bytes from the store. */
export function serveImages(
  { pool }: Pick<Database, "pool">,
  { blobs, sizes, key }: Images,
  events: Pick<LogEvents, "imageLost" | "ledgerFailed">,
): ServedImages {
  const find = batchReads((ids: readonly number[]) => findShownImages(pool, ids), foundAtOnce);

  /** A process that keeps images takes it again, or has its contact asked. */
  function lose(sha256: Buffer): void {
    wantLostImage(pool, sha256)
      .then((contacts) => events.imageLost({ contacts }))
      .catch((error: unknown) => events.ledgerFailed({ where: "want a lost image" }, error));
  }

  return {
    readToken: (token) => readImageToken(token, key),
    find,
    async read({ sha256, type }, size) {
      const hash = sha256.toString("hex");
      const sized = size === undefined ? undefined : await sizes.get({ hash, type }, size);
      if (sized?.kind === "sized") return sized.bytes;
      const original = await blobs.get(toBlobKey(hash));
      if (original === undefined) lose(sha256);
      return original?.bytes;
    },
    drawSilhouette: (contactId, size) => drawSilhouette(createImageSeed(contactId, key), size),
    blank: blankImage,
  };
}
