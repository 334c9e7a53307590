import { pipeline } from "node:stream/promises";
import { encodeGallery, type App } from "../../app/app.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import { openOutput, toWriteError } from "../terminal/output-file.ts";

/** Twice what a page shows, for screens with dense pixels. */
const thumbnailSize = 128;
/** An original in place of a size, where there is no sharp: more would make a page that no browser opens. */
const mostThumbnailBytes = 100_000;

/**
 * Writes one page with the faces of these contacts; see `openOutput`.
 * @throws UserError `file-not-writable`; the signal's reason
 */
export async function writeGalleryFile(
  app: App,
  path: string,
  rows: AsyncIterable<ResultRow>,
  { title, signal }: { readonly title: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const output = await openOutput(path, signal);
  try {
    const page = encodeGallery({
      title,
      rows,
      now: new Date(),
      async readThumbnail({ image: { sha256 } }) {
        const image = sha256 === undefined ? undefined : await app.images.read(sha256, thumbnailSize);
        return image && image.bytes.length <= mostThumbnailBytes ? image : undefined;
      },
    });
    await pipeline(page, output.stream, { end: false, signal });
    await output.commit();
  } catch (error) {
    throw toWriteError(path, error);
  } finally {
    await output.discard();
  }
}
