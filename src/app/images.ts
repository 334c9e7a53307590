import { once } from "../lib/closing/once.ts";
import { UserError } from "../lib/errors.ts";
import type { BlobStore } from "../images/blobs/blob-store.ts";
import type { Sizes } from "../images/sizes/create-sizes.ts";
import { readImageKey } from "../store/images/installation.ts";
import type { Base } from "./base.ts";

/** Where images are kept, and how contacts are addressed. */
export interface Images {
  readonly blobs: BlobStore;
  readonly sizes: Sizes;
  /** Of the addresses of contacts. */
  readonly key: Buffer;
}

/**
 * Opens the store of images, and looks whether it can be written to. Undefined: images are off. What opens them is loaded only
 * then: most commands never need it.
 * @throws UserError as the stores say, `images-*`
 */
export async function openImages({ config, database, events, closer }: Base): Promise<Images | undefined> {
  if (config.images.kind === "off") return undefined;
  const { openBlobs } = await import("../images/blobs/open-blobs.ts");
  const blobs = await openBlobs(config.images);
  if (blobs === undefined) throw new UserError("images-off", "images are off");
  closer.add("images", () => blobs.close());
  for (const text of await blobs.check()) events.imagesRemarked({ text });
  const onNotKept = (error: unknown) => events.imageSizeNotKept(error);
  return { blobs, sizes: createLazySizes(blobs, onNotKept), key: await readImageKey(database.pool) };
}

const readClock = () => performance.now();

/** A worker, which makes no sizes, does not load sharp and its library: tens of megabytes. */
function createLazySizes(blobs: BlobStore, onNotKept: (error: unknown) => void): Sizes {
  const open = once(async () => {
    const [{ openResizer }, { createSizes }] = await Promise.all([
      import("../images/sizes/open-resizer.ts"),
      import("../images/sizes/create-sizes.ts"),
    ]);
    return createSizes({ blobs, resizer: await openResizer(), onNotKept, now: readClock });
  });
  return { get: async (image, size) => (await open()).get(image, size) };
}

/** Says in one line that images are off, where nothing says that they shall be. */
export function tellWhetherOff({ config, events }: Pick<Base, "config" | "events">): void {
  if (config.images.kind === "off" && !config.images.isChosen) events.imagesOff();
}
