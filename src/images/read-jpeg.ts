import { malformed, type ImageHeader, truncated } from "./image-header.ts";
import { skipPadding } from "./skip-padding.ts";

/** The second byte of a marker: ITU T.81, table B.1. */
const marker = { fill: 0xff, temporary: 0x01, endOfImage: 0xd9, startOfScan: 0xda } as const;
/** Baseline, extended and progressive Huffman: those that browsers show. */
const shownFrames = new Set([0xc0, 0xc1, 0xc2]);
/** Lossless, hierarchical and arithmetic ones. */
const otherFrames = new Set([0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);

/**
 * Walks the segments up to the first scan, and looks whether the file ends as the last one must. Each step goes on by a byte at
 * least. `bytes` begin with the start of an image.
 */
export function readJpeg(bytes: Buffer): ImageHeader {
  let size: ImageHeader | undefined;
  let offset = 2;
  while (offset + 4 <= bytes.length) {
    if (bytes[offset] !== 0xff) return malformed;
    const code = bytes[offset + 1] ?? 0;
    if (code === marker.fill) offset += 1;
    else if (code === marker.temporary) offset += 2;
    else if (isBarred(code)) return malformed;
    else {
      const length = bytes.readUInt16BE(offset + 2);
      const end = offset + 2 + length;
      if (length < 2) return malformed;
      if (end > bytes.length) return truncated;
      if (code === marker.startOfScan) return size === undefined ? malformed : readEnd(bytes, end, size);
      if (shownFrames.has(code)) {
        if (size !== undefined || length < 8) return malformed;
        size = readFrame(bytes, offset + 4);
        if (size.kind === "refused") return size;
      }
      offset = end;
    }
  }
  return truncated;
}

/** No marker at all, one of 0xd0 to 0xd9, which have no length and no place before a scan, or a frame that is not shown. */
function isBarred(code: number): boolean {
  return code < 0xc0 || (code >= 0xd0 && code <= marker.endOfImage) || otherFrames.has(code);
}

/** Precision, height, width: two bytes each of the latter. A height of 0 is told behind the scan, which no browser reads. */
function readFrame(bytes: Buffer, offset: number): ImageHeader {
  const height = bytes.readUInt16BE(offset + 1);
  const width = bytes.readUInt16BE(offset + 3);
  return width === 0 || height === 0 ? malformed : { kind: "read", width, height };
}

/** Within a scan no other byte than 0 follows 0xff, but for markers: the end of the image is found at the end alone. */
function readEnd(bytes: Buffer, scan: number, size: ImageHeader): ImageHeader {
  const end = skipPadding(bytes, scan);
  const isWhole = end - 2 >= scan && bytes[end - 2] === 0xff && bytes[end - 1] === marker.endOfImage;
  return isWhole ? size : truncated;
}
