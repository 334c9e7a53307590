import { toCanonicalCodes, toCodeLengths } from "./huffman.ts";

/** A lossless WebP whose colours are still to be filled in: the part that pictures of one sitter share. */
export interface WebpBase {
  readonly file: Buffer;
  /** Where the colours lie in the file, in bits. */
  readonly coloursAt: number;
}

/** RIFF's and the chunk's headers. */
const headBytes = 20;
/** Green, red and blue with 8 bits each, and one for alpha. */
const bitsPerColour = 25;

/**
 * Encodes pixels that are numbers of colours as lossless WebP (its bit stream specification): the transform of colour
 * indexing, then a prefix code for each pixel and no references back. `colours` is how many there are, 17 to 256.
 */
export function toWebpBase(pixels: Uint8Array, size: number, colours: number): WebpBase {
  const writer = new BitWriter(pixels.length);
  writer.add(0x2f, 8);
  writer.add(size - 1, 14);
  writer.add(size - 1, 14);
  // No alpha, version 0, then a transform: colour indexing.
  writer.add(0, 4);
  writer.add(1, 1);
  writer.add(3, 2);
  writer.add(colours - 1, 8);
  const coloursAt = addColourTable(writer, colours) + 8 * headBytes;
  // No other transform, no cache of colours, no choice between groups of codes.
  writer.add(0, 3);
  addPixels(writer, pixels);
  return { file: toRiff(writer.end()), coloursAt };
}

/** A WebP with these colours, three bytes each. In the file each is the difference to the one before. */
export function toWebp({ file, coloursAt }: WebpBase, colours: Uint8Array): Buffer {
  const webp = Buffer.from(file);
  for (let first = 0, at = coloursAt; first < colours.length; first += 3, at += bitsPerColour) {
    const difference = (channel: number) =>
      ((colours[first + channel] ?? 0) - (first === 0 ? 0 : (colours[first + channel - 3] ?? 0))) & 0xff;
    setByte(webp, at, difference(1));
    setByte(webp, at + 8, difference(0));
    setByte(webp, at + 16, difference(2));
  }
  return webp;
}

/** Room for the colours, black until filled in; returns where it begins. */
function addColourTable(writer: BitWriter, colours: number): number {
  writer.add(0, 1);
  // Green's alphabet has codes of lengths too: of its 280 symbols only the first 256 have a code, of 8 bits.
  addEvenCode(writer, 256);
  addEvenCode(writer, undefined);
  addEvenCode(writer, undefined);
  // Alpha: 0 or 255. Distances: none.
  writer.add(0b11, 2);
  writer.add(0b00, 2);
  writer.add(255, 8);
  addOnlyZero(writer);
  const at = writer.length;
  for (let colour = 0; colour < colours; colour += 1) {
    writer.add(0, 8);
    writer.add(0, 8);
    writer.add(0, 8);
    writer.add(colour === 0 ? 1 : 0, 1);
  }
  return at;
}

/** The order in which the lengths of the codes of lengths are written. */
const lengthOrder = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/** A code of 8 bits for each of 256 symbols; `used` where the alphabet has more. The only length, 8, takes no bits. */
function addEvenCode(writer: BitWriter, used: number | undefined): void {
  writer.add(0, 1);
  writer.add(lengthOrder.length - 4, 4);
  for (const length of lengthOrder) writer.add(length === 8 ? 1 : 0, 3);
  if (used === undefined) writer.add(0, 1);
  else {
    writer.add(1, 1);
    writer.add(3, 3);
    writer.add(used - 2, 8);
  }
}

/** A code whose only symbol is 0, and takes no bits. */
function addOnlyZero(writer: BitWriter): void {
  writer.add(0b0001, 4);
}

function addPixels(writer: BitWriter, pixels: Uint8Array): void {
  const counts = Array.from({ length: 280 }, () => 0);
  for (const pixel of pixels) counts[pixel] = (counts[pixel] ?? 0) + 1;
  const lengths = toCodeLengths(counts);
  const codes = toCanonicalCodes(lengths).map((code, symbol) => reverse(code, lengths[symbol] ?? 0));
  writer.add(0, 1);
  writer.add(lengthOrder.length - 4, 4);
  for (const length of lengthOrder) writer.add(length < 16 ? 4 : 0, 3);
  writer.add(0, 1);
  for (const length of lengths) writer.add(reverse(length, 4), 4);
  // Red, blue, alpha, distance.
  for (let code = 0; code < 4; code += 1) addOnlyZero(writer);
  for (const pixel of pixels) writer.add(codes[pixel] ?? 0, lengths[pixel] ?? 0);
}

function toRiff(data: Buffer): Buffer {
  const padded = data.length + (data.length % 2);
  const file = Buffer.alloc(headBytes + padded);
  file.write("RIFF", 0, "latin1");
  file.writeUInt32LE(padded + 12, 4);
  file.write("WEBPVP8L", 8, "latin1");
  file.writeUInt32LE(data.length, 16);
  file.set(data, headBytes);
  return file;
}

/** Lays the code of `byte`, 8 bits with the highest first, over zeros that begin at a bit. */
function setByte(buffer: Buffer, bit: number, byte: number): void {
  const shifted = reverse(byte, 8) << (bit & 7);
  const at = bit >> 3;
  buffer[at] = (buffer[at] ?? 0) | (shifted & 0xff);
  buffer[at + 1] = (buffer[at + 1] ?? 0) | (shifted >> 8);
}

/** Prefix codes are written from their highest bit, all else from the lowest. */
function reverse(bits: number, length: number): number {
  let reversed = 0;
  for (let bit = 0; bit < length; bit += 1) reversed = (reversed << 1) | ((bits >> bit) & 1);
  return reversed;
}

/** Writes bits, the lowest first. */
class BitWriter {
  readonly #bytes: Uint8Array;
  #length = 0;

  /** `pixels` at up to 16 bits each, and the tables. */
  constructor(pixels: number) {
    this.#bytes = new Uint8Array(2 * pixels + 4096);
  }

  /** How many bits were written. */
  get length(): number {
    return this.#length;
  }

  /** At most 16 bits. */
  add(bits: number, length: number): void {
    const at = this.#length >> 3;
    const shifted = bits << (this.#length & 7);
    this.#bytes[at] = (this.#bytes[at] ?? 0) | (shifted & 0xff);
    this.#bytes[at + 1] = (shifted >> 8) & 0xff;
    this.#bytes[at + 2] = (shifted >> 16) & 0xff;
    this.#length += length;
  }

  end(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, (this.#length + 7) >> 3));
  }
}
