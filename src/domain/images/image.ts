/** The types of images that are kept, by their own bytes; others are refused. */
export const imageTypes = ["image/jpeg", "image/png", "image/webp"] as const;

export type ImageType = (typeof imageTypes)[number];

/** The sizes that an image is served in, beside its original: pixels, of each side of a square. */
export const imageSizes = [64, 128, 256, 640] as const;

export type ImageSize = (typeof imageSizes)[number];

/** An image as it was found by looking at its bytes. */
export interface ImageFacts {
  /** Of its bytes, 32 bytes. */
  readonly sha256: Buffer;
  readonly type: ImageType;
  readonly bytes: number;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}
