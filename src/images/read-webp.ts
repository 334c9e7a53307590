import { animated, malformed, type ImageHeader, truncated } from "./image-header.ts";
import { skipPadding } from "./skip-padding.ts";

/** Types of chunks, as numbers of four letters: https://developers.google.com/speed/webp/docs/riff_container. */
const chunk = {
  lossy: 0x56503820, // "VP8 "
  lossless: 0x5650384c, // VP8L
  extended: 0x56503858, // VP8X
  animation: 0x414e494d, // ANIM
  frame: 0x414e4d46, // ANMF
} as const;

/** Type and length. */
const chunkFrame = 8;
/** In the flags of an extended file. */
const animationFlag = 0x02;

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Walks the chunks to the end that the file itself tells. Each step goes on by 8 bytes at least. An extended file tells the size
 * of its canvas beside that of its image: they must be the same, or a small header could hide a large image.
 * `bytes` begin with `RIFF`, a length, and `WEBP`.
 */
export function readWebp(bytes: Buffer): ImageHeader {
  const fileEnd = 8 + bytes.readUInt32LE(4);
  if (fileEnd > bytes.length) return truncated;
  if (skipPadding(bytes, fileEnd) !== fileEnd) return malformed;
  const found: Found = { canvas: undefined, image: undefined };
  let offset = 12;
  while (offset + chunkFrame <= fileEnd) {
    const type = bytes.readUInt32BE(offset);
    const start = offset + chunkFrame;
    const length = bytes.readUInt32LE(offset + 4);
    if (type === chunk.animation || type === chunk.frame) return animated;
    if (start + length > fileEnd) return malformed;
    const refusal = takeChunk(found, type, bytes.subarray(start, start + length));
    if (refusal !== undefined) return refusal;
    offset = start + length + (length % 2);
  }
  const { image, canvas } = found;
  if (offset < fileEnd || image === undefined || !isSame(image, canvas ?? image)) return malformed;
  return { kind: "read", ...image };
}

/** What the chunks so far have told. */
interface Found {
  canvas: Size | undefined;
  image: Size | undefined;
}

/** The first chunk is an image, or says that others come before it. Returns why the file is refused, if it is. */
function takeChunk(found: Found, type: number, data: Buffer): ImageHeader | undefined {
  const isFirst = found.canvas === undefined && found.image === undefined;
  switch (type) {
    case chunk.extended:
      if (!isFirst || data.length < 10) return malformed;
      if (((data[0] ?? 0) & animationFlag) !== 0) return animated;
      found.canvas = readCanvas(data);
      return undefined;
    case chunk.lossy:
    case chunk.lossless:
      if (found.image !== undefined) return malformed;
      found.image = type === chunk.lossy ? readLossy(data) : readLossless(data);
      return found.image === undefined ? malformed : undefined;
    default:
      return isFirst ? malformed : undefined;
  }
}

/** Two numbers of 24 bits, each less by one. */
function readCanvas(data: Buffer): Size {
  return { width: data.readUIntLE(4, 3) + 1, height: data.readUIntLE(7, 3) + 1 };
}

/** RFC 6386, 9.1: a key frame, its start code, and two numbers of 14 bits, each with its scale above. */
function readLossy(data: Buffer): Size | undefined {
  if (data.length < 10 || ((data[0] ?? 1) & 1) !== 0 || data.readUIntBE(3, 3) !== 0x9d012a) return undefined;
  const width = data.readUInt16LE(6) & 0x3fff;
  const height = data.readUInt16LE(8) & 0x3fff;
  return width === 0 || height === 0 ? undefined : { width, height };
}

/** A signature, two numbers of 14 bits, each less by one, a flag, and a version of 3 bits that must be 0. */
function readLossless(data: Buffer): Size | undefined {
  if (data.length < 5 || data[0] !== 0x2f) return undefined;
  const bits = data.readUInt32LE(1);
  if (bits >>> 29 !== 0) return undefined;
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

function isSame(one: Size, other: Size): boolean {
  return one.width === other.width && one.height === other.height;
}
