import type { ImageFault } from "./image.ts";

/** So far it is looked for a name. */
const headBytes = 1_024;

/** Brands of ISO 14496-12 files: AVIF's, and those of HEIF with an HEVC image. */
const avifBrands = /avi[fos]/;
const heicBrands = /he[iv][cmsx]|mif1|msf1/;

/** What bytes are that are no JPEG, PNG or WebP: said for people who wonder why a contact has no image. */
export function nameForeignFormat(bytes: Buffer): ImageFault {
  if (bytes.length === 0) return "empty";
  const head = bytes.toString("latin1", 0, headBytes);
  if (head.startsWith("GIF8")) return "gif";
  if (head.startsWith("BM")) return "bmp";
  if (head.startsWith("ftyp", 4)) return nameBrand(head);
  return nameMarkup(head);
}

/** The brand comes first, and then those that the file is compatible with. */
function nameBrand(head: string): ImageFault {
  const brands = head.slice(8, 64);
  if (avifBrands.test(brands)) return "avif";
  return heicBrands.test(brands) ? "heic" : "not-an-image";
}

/** Behind a byte order mark, blanks, and whatever comes before the first element. */
function nameMarkup(head: string): ImageFault {
  const text = head
    .replace(/^\u00ef\u00bb\u00bf/, "")
    .trimStart()
    .toLowerCase();
  if (!text.startsWith("<")) return "not-an-image";
  if (/^<(?:!doctype html|html|head|body|script)\b/.test(text)) return "html";
  if (text.includes("<svg")) return "svg";
  return text.includes("<html") ? "html" : "not-an-image";
}
