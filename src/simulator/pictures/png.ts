import { crc32, deflateSync } from "node:zlib";

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Compresses pixels that are numbers of colours, for a PNG of `size` × `size`. */
export function deflatePixels(pixels: Uint8Array, size: number): Buffer {
  const rows = Buffer.alloc(size * (size + 1));
  for (let row = 0; row < size; row += 1)
    rows.set(pixels.subarray(row * size, (row + 1) * size), row * (size + 1) + 1);
  return deflateSync(rows, { level: 6 });
}

/** A PNG of compressed pixels and their colours: three bytes each, 256 at most. */
export function toPng(deflated: Uint8Array, size: number, colours: Uint8Array): Buffer {
  return toChunks({ width: size, height: size, depth: 8, colourType: 3 }, [
    ["PLTE", colours],
    ["IDAT", deflated],
  ]);
}

interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
}

/** A PNG of these chunks, the first and the last of which are made here. */
export function toChunks(header: PngHeader, chunks: readonly (readonly [string, Uint8Array])[]): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(header.width, 0);
  head.writeUInt32BE(header.height, 4);
  head[8] = header.depth;
  head[9] = header.colourType;
  const all = [["IHDR", head] as const, ...chunks, ["IEND", new Uint8Array()] as const];
  return Buffer.concat([signature, ...all.map(([name, data]) => toChunk(name, data))]);
}

function toChunk(name: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(name, 4, "latin1");
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, data.length + 8)), data.length + 8);
  return chunk;
}
