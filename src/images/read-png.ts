import { animated, malformed, type ImageHeader, truncated } from "./image-header.ts";
import { skipPadding } from "./skip-padding.ts";

/** Types of chunks, as numbers of four letters. */
const chunk = {
  header: 0x49484452, // IHDR
  animation: 0x6163544c, // acTL
  data: 0x49444154, // IDAT
  end: 0x49454e44, // IEND
} as const;

/** Length, type and checksum. */
const chunkFrame = 12;
/** https://www.w3.org/TR/png-3/#7Integers-and-byte-order */
const maxLength = 0x7fffffff;

/** Walks the chunks up to the last one. Each step goes on by 12 bytes at least. `bytes` begin with the signature. */
export function readPng(bytes: Buffer): ImageHeader {
  let size: ImageHeader | undefined;
  let hasData = false;
  let offset = 8;
  while (offset + chunkFrame <= bytes.length) {
    const length = bytes.readUInt32BE(offset);
    const type = bytes.readUInt32BE(offset + 4);
    const end = offset + chunkFrame + length;
    if (length > maxLength) return malformed;
    if ((type === chunk.header) !== (size === undefined)) return malformed;
    if (type === chunk.animation) return animated;
    if (end > bytes.length) return truncated;
    if (size === undefined) {
      size = length === 13 ? readSize(bytes, offset + 8) : malformed;
      if (size.kind === "refused") return size;
    }
    if (type === chunk.data) hasData = true;
    if (type === chunk.end) return hasData && skipPadding(bytes, end) === end ? size : malformed;
    offset = end;
  }
  return truncated;
}

function readSize(bytes: Buffer, offset: number): ImageHeader {
  const width = bytes.readUInt32BE(offset);
  const height = bytes.readUInt32BE(offset + 4);
  const isSize = width > 0 && height > 0 && width <= maxLength && height <= maxLength;
  return isSize ? { kind: "read", width, height } : malformed;
}
