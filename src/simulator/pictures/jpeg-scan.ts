import { acCounts, acSymbols, dcCounts, dcSymbols, toCodes, zigzag } from "./jpeg-tables.ts";

const dcCodes = toCodes(dcCounts, dcSymbols);
const acCodes = toCodes(acCounts, acSymbols);
const endOfBlock = 0x00;
const sixteenZeros = 0xf0;

/** Row `u`, column `x`: how much of frequency `u` is in sample `x`. */
const cosines = Float64Array.from({ length: 64 }, (_, index) => {
  const [frequency, sample] = [index >> 3, index & 7];
  return (frequency === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * sample + 1) * frequency * Math.PI) / 16);
});

/** Writes the blocks of one component as the entropy-coded data of a JPEG scan (ITU T.81, annex F). */
export class JpegScan {
  readonly #steps: Uint8Array;
  #bytes: Buffer;
  #length = 0;
  #bits = 0;
  #bitCount = 0;
  #lastDc = 0;

  /** `steps` in the order of the file; `bytes` is a first guess of the length. */
  constructor(steps: Uint8Array, bytes: number) {
    this.#steps = steps;
    this.#bytes = Buffer.allocUnsafe(bytes);
  }

  /** A block of one value throughout. */
  addFlat(value: number): void {
    this.#addDc(Math.round((8 * value) / (this.#steps[0] ?? 1)));
    this.#addCode(acCodes, endOfBlock);
    this.#reserve();
  }

  /** A block of 64 values around 0, row by row. */
  addBlock(values: Float64Array): void {
    const frequencies = transform(values);
    const quantized = (index: number) =>
      Math.round((frequencies[zigzag[index] ?? 0] ?? 0) / (this.#steps[index] ?? 1));
    this.#addDc(quantized(0));
    let zeros = 0;
    for (let index = 1; index < 64; index += 1) {
      const value = quantized(index);
      if (value === 0) zeros += 1;
      else {
        for (; zeros > 15; zeros -= 16) this.#addCode(acCodes, sixteenZeros);
        const length = countBits(value);
        this.#addCode(acCodes, (zeros << 4) | length);
        this.#addBits(toBits(value, length), length);
        zeros = 0;
      }
    }
    if (zeros > 0) this.#addCode(acCodes, endOfBlock);
    this.#reserve();
  }

  /** The whole scan, filled up with ones to a whole byte. */
  end(): Buffer {
    if (this.#bitCount > 0) this.#addBits(0x7f >> (this.#bitCount - 1), 8 - this.#bitCount);
    return this.#bytes.subarray(0, this.#length);
  }

  /** Only the difference to the block before is written. */
  #addDc(value: number): void {
    const difference = value - this.#lastDc;
    this.#lastDc = value;
    const length = countBits(difference);
    this.#addCode(dcCodes, length);
    this.#addBits(toBits(difference, length), length);
  }

  #addCode(codes: readonly (readonly [number, number])[], symbol: number): void {
    const [bits, length] = codes[symbol] ?? [0, 0];
    this.#addBits(bits, length);
  }

  /** At most 16 bits at a time, the highest first. After a byte of ones comes one of zeros: it is no marker. */
  #addBits(bits: number, length: number): void {
    this.#bits = (this.#bits << length) | bits;
    this.#bitCount += length;
    while (this.#bitCount >= 8) {
      this.#bitCount -= 8;
      const byte = (this.#bits >> this.#bitCount) & 0xff;
      this.#bytes[this.#length] = byte;
      this.#length += 1;
      if (byte !== 0xff) continue;
      this.#bytes[this.#length] = 0;
      this.#length += 1;
    }
    this.#bits &= 0xff;
  }

  /** Room for the longest block: 64 codes with their bits, each byte twice. */
  #reserve(): void {
    if (this.#bytes.length - this.#length > 512) return;
    this.#bytes = Buffer.concat([this.#bytes, Buffer.allocUnsafe(this.#bytes.length)]);
  }
}

const rows = new Float64Array(64);
const frequencies = new Float64Array(64);
const mirrored = new Float64Array(8);

/** The cosine transform, rows and then columns. Its result is good until the next call. */
function transform(values: Float64Array): Float64Array {
  transformRows(values, rows);
  transformRows(rows, frequencies);
  return frequencies;
}

/**
 * Transforms each row of `from` and lays it down as a column: twice, and rows and columns are as before. Even frequencies are
 * alike on both sides of the middle and odd ones opposite, so that sums and differences of the two sides do.
 */
function transformRows(from: Float64Array, to: Float64Array): void {
  for (let row = 0; row < 8; row += 1) {
    for (let sample = 0; sample < 4; sample += 1) {
      const left = from[8 * row + sample] ?? 0;
      const right = from[8 * row + 7 - sample] ?? 0;
      mirrored[sample] = left + right;
      mirrored[4 + sample] = left - right;
    }
    for (let frequency = 0; frequency < 8; frequency += 1) {
      const side = 4 * (frequency & 1);
      let sum = 0;
      for (let sample = 0; sample < 4; sample += 1) {
        sum += (cosines[8 * frequency + sample] ?? 0) * (mirrored[side + sample] ?? 0);
      }
      to[8 * frequency + row] = sum;
    }
  }
}

function countBits(value: number): number {
  return 32 - Math.clz32(Math.abs(value));
}

/** A value in so many bits: a negative one as its distance from the least of this length. */
function toBits(value: number, length: number): number {
  return value < 0 ? value + (1 << length) - 1 : value;
}
