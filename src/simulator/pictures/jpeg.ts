import { JpegScan } from "./jpeg-scan.ts";
import { acCounts, acSymbols, dcCounts, dcSymbols, toSteps } from "./jpeg-tables.ts";
import type { Tint } from "./look.ts";

const brightnessSteps = toSteps(3, 1.3);
const tintSteps = toSteps(5, 4);

/** The part of a JPEG that pictures of one sitter share, and where each part of the portrait lies. */
export interface JpegBase {
  readonly size: number;
  readonly brightness: Buffer;
  /** For every second pixel of every second row, its part. */
  readonly parts: Uint8Array;
  /** For each block of `parts`, the one part that it shows; 255 where there are several. */
  readonly blocks: Uint8Array;
}

const mixed = 255;

/** Encodes the brightness of a picture, 0 to 255; `size` is a multiple of 16. */
function encodeBrightness(brightness: Uint8Array, size: number): Buffer {
  const scan = new JpegScan(brightnessSteps, size * size);
  const block = new Float64Array(64);
  for (let top = 0; top < size; top += 8) {
    for (let left = 0; left < size; left += 8) {
      for (let at = 0; at < 64; at += 1) {
        block[at] = (brightness[(top + (at >> 3)) * size + left + (at & 7)] ?? 0) - 128;
      }
      scan.addBlock(block);
    }
  }
  return Buffer.from(scan.end());
}

export function toJpegBase(part: Uint8Array, brightness: Uint8Array, size: number): JpegBase {
  const half = size / 2;
  const parts = new Uint8Array(half * half);
  for (let at = 0; at < parts.length; at += 1) {
    parts[at] = part[2 * Math.floor(at / half) * size + 2 * (at % half)] ?? 0;
  }
  const across = half / 8;
  const blocks = Uint8Array.from({ length: across * across }, (_, block) => {
    const first = toCorner(block, half);
    const only = parts[first];
    for (let at = 0; at < 64; at += 1) {
      if (parts[first + (at >> 3) * half + (at & 7)] !== only) return mixed;
    }
    return only ?? 0;
  });
  return { size, brightness: encodeBrightness(brightness, size), parts, blocks };
}

/** Where a block begins in a map that is `width` wide. */
function toCorner(block: number, width: number): number {
  const across = width / 8;
  return Math.floor(block / across) * 8 * width + (block % across) * 8;
}

/**
 * A baseline JPEG with one scan for each component: brightness is the base's, and only the tints, which are mostly flat, are
 * encoded for this picture. `tints` has one for each part.
 */
export function toJpeg(base: JpegBase, tints: readonly Tint[], comment: Uint8Array): Buffer {
  const scan = (component: number) => segment(0xda, [1, component, 0x00, 0, 63, 0]);
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xe0, [...Buffer.from("JFIF\0"), 1, 1, 0, 0, 1, 0, 1, 0, 0]),
    segment(0xfe, [...comment]),
    segment(0xdb, [0, ...brightnessSteps, 1, ...tintSteps]),
    segment(0xc0, [8, ...twoBytes(base.size), ...twoBytes(base.size), 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]),
    segment(0xc4, [0x00, ...dcCounts, ...dcSymbols, 0x10, ...acCounts, ...acSymbols]),
    scan(1),
    base.brightness,
    scan(2),
    encodeTint(
      base,
      tints.map(({ blue }) => blue),
    ),
    scan(3),
    encodeTint(
      base,
      tints.map(({ red }) => red),
    ),
    Buffer.from([0xff, 0xd9]),
  ]);
}

/** One component of the tints, at half the picture's width and height. */
function encodeTint({ size, parts, blocks }: JpegBase, values: readonly number[]): Buffer {
  const half = size / 2;
  const scan = new JpegScan(tintSteps, 16_384);
  const samples = new Float64Array(64);
  for (const [block, part] of blocks.entries()) {
    if (part === mixed) {
      const first = toCorner(block, half);
      for (let at = 0; at < 64; at += 1) {
        samples[at] = values[parts[first + (at >> 3) * half + (at & 7)] ?? 0] ?? 0;
      }
      scan.addBlock(samples);
    } else scan.addFlat(values[part] ?? 0);
  }
  return scan.end();
}

function segment(marker: number, data: readonly number[]): Buffer {
  return Buffer.from([0xff, marker, ...twoBytes(data.length + 2), ...data]);
}

function twoBytes(value: number): [number, number] {
  return [value >> 8, value & 0xff];
}
