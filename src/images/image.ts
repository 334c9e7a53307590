import type { ImageType } from "../domain/images/image.ts";

/** An image to keep: of a known type, complete, within all limits. */
export interface TakenImage {
  readonly kind: "taken";
  readonly bytes: Buffer;
  readonly type: ImageType;
  /** Pixels, as the header says: before the turn that EXIF may ask for. */
  readonly width: number;
  readonly height: number;
}

/** Why bytes, or the text that should hold them, are no image to keep. The same bytes are refused again at any time. */
export type ImageFault =
  | "empty"
  /** Begins like nothing that is known. */
  | "not-an-image"
  | "svg"
  | "html"
  | "gif"
  | "heic"
  | "avif"
  | "bmp"
  /** An animated PNG or WebP. */
  | "animated"
  /** Its end is missing. */
  | "truncated"
  /** It breaks the rules of its format, or has other bytes behind its end. */
  | "malformed"
  /** More than 8,192 pixels wide or high, or more than 25 million of them. */
  | "too-many-pixels"
  /** More than 5 MiB. */
  | "too-large"
  /** A text that is neither base64 nor a `data:` URI with it. */
  | "not-base64";

export interface RefusedImage {
  readonly kind: "refused";
  readonly reason: ImageFault;
}

/** WhatsApp's own have at most 640 × 640 pixels, and some 100 KiB. */
export const maxImageBytes = 5 * 1024 * 1024;
