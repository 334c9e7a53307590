import type { ImageSize } from "../../domain/images/image.ts";

/** Makes images small. */
export interface Resizer {
  /**
   * A square of `size` pixels, or of the image's shorter side where that is less: cut from its middle, turned as EXIF says, of
   * the same type, in sRGB, without metadata. Of an animation it is the first frame. Undefined: it is no JPEG, PNG or WebP that
   * can be read, within bounds of pixels and time.
   */
  resize(bytes: Uint8Array, size: ImageSize): Promise<Buffer | undefined>;
}

/** Some seven times what the largest avatars have, 1,920 by 1,920: 25 million take 75 MB while they are decoded. */
const maxPixels = 25_000_000;
/** libvips looks at it between parts of an image. */
const maxSeconds = 5;
/** Whole images are looked at in lists: finer than that shows nowhere. */
const quality = 82;

/** Sharp's own names of the loaders that may run: no other reads what comes from outside, such as SVG or PDF. */
const loaders = ["VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadWebp"];

/** Loads sharp, an optional dependency; undefined where it, or its library for this platform, is not installed. */
export async function openResizer(): Promise<Resizer | undefined> {
  const sharp = await loadSharp();
  if (sharp === undefined) return undefined;
  // Few at a time instead, one thread each: threads of libvips come on top of those of Node.js.
  sharp.concurrency(1);
  // What is made is kept by the store.
  sharp.cache(false);
  sharp.block({ operation: ["VipsForeignLoad"] });
  sharp.unblock({ operation: loaders });

  return {
    async resize(bytes, size) {
      try {
        const image = sharp(bytes, { limitInputPixels: maxPixels, failOn: "error" });
        const { width, height } = await image.metadata();
        const side = Math.min(size, width, height);
        return await image
          .timeout({ seconds: maxSeconds })
          .autoOrient()
          .resize(side, side, { fit: "cover" })
          // Those of the input's own format count.
          .jpeg({ quality, force: false })
          .webp({ quality, force: false })
          .png({ compressionLevel: 9, force: false })
          .toBuffer();
      } catch {
        // Whatever sharp says, it says of the image.
        return undefined;
      }
    },
  };
}

async function loadSharp() {
  try {
    return (await import("sharp")).default;
  } catch {
    return undefined;
  }
}
