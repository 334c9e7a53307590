import type { ImageType } from "../domain/images/image.ts";
import { nameForeignFormat } from "./name-foreign-format.ts";
import { maxImageBytes, type RefusedImage, type TakenImage } from "./image.ts";
import type { ImageHeader } from "./image-header.ts";
import { readJpeg } from "./read-jpeg.ts";
import { readPng } from "./read-png.ts";
import { readWebp } from "./read-webp.ts";

/** Decoded, a pixel takes four bytes: more of them would fill hundreds of megabytes. */
const maxSide = 8_192;
const maxPixels = 25_000_000;

/**
 * Is this an image to keep: JPEG, PNG or WebP by its own bytes, whole, still, and of a size that may be decoded? Pure, total,
 * and linear in the number of bytes. Pixels are not decoded. Animations are refused: the limit counts the pixels of one frame,
 * and a small file may have thousands.
 */
export function inspectImage(bytes: Buffer): TakenImage | RefusedImage {
  if (bytes.length > maxImageBytes) return { kind: "refused", reason: "too-large" };
  const type = findType(bytes);
  if (type === undefined) return { kind: "refused", reason: nameForeignFormat(bytes) };
  const header = readers[type](bytes);
  if (header.kind === "refused") return header;
  const { width, height } = header;
  if (width > maxSide || height > maxSide || width * height > maxPixels)
    return { kind: "refused", reason: "too-many-pixels" };
  return { kind: "taken", bytes, type, width, height };
}

const readers: Readonly<Record<ImageType, (bytes: Buffer) => ImageHeader>> = {
  "image/jpeg": readJpeg,
  "image/png": readPng,
  "image/webp": readWebp,
};

const pngSignature = "\u0089PNG\r\n\u001a\n";

function findType(bytes: Buffer): ImageType | undefined {
  const head = bytes.toString("latin1", 0, 12);
  if (head.startsWith("\u00ff\u00d8\u00ff")) return "image/jpeg";
  if (head.startsWith(pngSignature)) return "image/png";
  return head.startsWith("RIFF") && head.startsWith("WEBP", 8) ? "image/webp" : undefined;
}
