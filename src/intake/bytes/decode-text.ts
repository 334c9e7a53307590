import { isAscii } from "node:buffer";
import type { Reading } from "../../domain/requests/reading.ts";
import type { OpenedBytes } from "./decode-bytes.ts";
import { detectEncoding, type KnowsName } from "./detect-encoding.ts";
import { createDecoder } from "./encodings.ts";

export interface TextOptions {
  /** The user's word, from `parseEncoding`; undefined: it is found out. */
  readonly encoding: string | undefined;
  readonly knowsName: KnowsName;
  readonly reading: Pick<Reading, "encoding">;
}

/** Characters beside ASCII that are UTF-8, one after the other, before it is taken for certain. Few of a code page are, by chance. */
const certain = 4;
/** Looked at from the first byte that is not ASCII on, to tell what it is. */
const sampleLength = 16 * 1024;
/** Of a header, which is wanted whole for its names, up to the first byte that is not ASCII. */
const maxHeader = 64 * 1024;
/** Enough to see a NUL in each other byte. */
const utf16Head = 64;
const nothing = Buffer.alloc(0);
const lf = 10;
const cr = 13;

/**
 * The text of an input as UTF-8, without a byte order mark, in chunks as they come. UTF-16 is told by its mark, or by its NULs.
 * UTF-8 comes first, strictly; what is not becomes text of a code page that fits, see `detectEncoding`.
 *
 * All that are considered have ASCII in common. The question is put at the first byte that is not ASCII, wherever it is, and
 * answered once, from what follows: nothing that was read before could be wrong. After that, bytes of another encoding become
 * U+FFFD, so that a cell with them is no contact.
 */
export async function* decodeText(
  { magic, chunks }: OpenedBytes,
  { encoding, knowsName, reading }: TextOptions,
): AsyncGenerator<Buffer> {
  const [marked, length] = readMark(magic);
  const unmarked = skip(chunks, length);
  const told = encoding ?? marked;
  if (told !== undefined) {
    reading.encoding = told;
    // A mark of UTF-16 is no part of the text in whatever else it was said to be: the user has the last word.
    return yield* decode(encoding === undefined || encoding === marked ? unmarked : chunks, told);
  }
  const first = await take(unmarked, mayBeUtf16(magic) ? utf16Head : 1);
  const utf16 = findUtf16(first.taken.subarray(0, utf16Head));
  if (utf16 === undefined) return yield* decodeUnknown(first.all, knowsName, reading);
  reading.encoding = utf16;
  yield* decode(first.all, utf16);
}

function readMark(magic: string): readonly [encoding: string | undefined, length: number] {
  if (magic.startsWith("fffe")) return ["utf-16le", 2];
  if (magic.startsWith("feff")) return ["utf-16be", 2];
  return magic.startsWith("efbbbf") ? ["utf-8", 3] : [undefined, 0];
}

async function* skip(chunks: AsyncIterable<Buffer>, length: number): AsyncGenerator<Buffer> {
  let left = length;
  for await (const chunk of chunks) {
    yield chunk.subarray(left);
    left -= Math.min(left, chunk.length);
  }
}

async function* decode(chunks: AsyncIterable<Buffer>, encoding: string): AsyncGenerator<Buffer> {
  if (encoding === "utf-8") return yield* chunks;
  const decoder = createDecoder(encoding);
  for await (const chunk of chunks) yield Buffer.from(decoder.decode(chunk));
  yield Buffer.from(decoder.end());
}

/** The first bytes, joined, at least so many where there are; and everything, those included. */
async function take(
  chunks: AsyncGenerator<Buffer>,
  length: number,
): Promise<{ readonly taken: Buffer; readonly all: AsyncGenerator<Buffer> }> {
  const parts: Buffer[] = [];
  let has = 0;
  while (has < length) {
    const next = await chunks.next();
    if (next.done === true) break;
    parts.push(next.value);
    has += next.value.length;
  }
  const taken = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  return { taken, all: prepend(taken, chunks) };
}

async function* prepend(head: Buffer, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  yield* chunks;
}

/** Text has no control characters but breaks and tabs; UTF-16 without a mark has in its first four bytes, in any alphabet. */
function mayBeUtf16(magic: string): boolean {
  return [...Buffer.from(magic, "hex")].some(
    (byte) => byte < 0x20 && byte !== 9 && byte !== lf && byte !== cr,
  );
}

/** NULs at one parity alone: digits, blanks and punctuation in any alphabet. */
function findUtf16(head: Buffer): string | undefined {
  const nuls = [0, 0];
  for (const [at, byte] of head.entries()) if (byte === 0) nuls[at % 2]! += 1;
  const [even = 0, odd = 0] = nuls;
  if (even === 0 && odd >= 2) return "utf-16le";
  return odd === 0 && even >= 2 ? "utf-16be" : undefined;
}

async function* decodeUnknown(
  chunks: AsyncGenerator<Buffer>,
  knowsName: KnowsName,
  reading: Pick<Reading, "encoding">,
): AsyncGenerator<Buffer> {
  /** The beginning of the first line, until it ends. */
  let header: Buffer[] | undefined = [];
  let headerLength = 0;
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) return;
    const chunk = next.value;
    if (!isAscii(chunk)) {
      const sample = await takeSample(chunk, chunks);
      const line = header && toFirstLine(Buffer.concat([...header, sample.bytes]));
      const encoding = sample.isUtf8 ? "utf-8" : detectEncoding(sample.bytes, line, knowsName);
      reading.encoding = encoding ?? "utf-8";
      return yield* decode(sample.all, reading.encoding);
    }
    yield chunk;
    if (header === undefined) continue;
    header.push(chunk);
    headerLength += chunk.length;
    if (findBreak(chunk) >= 0 || headerLength > maxHeader) header = undefined;
  }
}

/** The first line, where it has bytes that are not ASCII. */
function toFirstLine(text: Buffer): Buffer | undefined {
  const end = findBreak(text);
  const line = end < 0 ? text : text.subarray(0, end);
  return isAscii(line) ? undefined : line;
}

function findBreak(text: Buffer): number {
  const at = [text.indexOf(lf), text.indexOf(cr)].filter((found) => found >= 0);
  return at.length === 0 ? -1 : Math.min(...at);
}

interface Sample {
  readonly bytes: Buffer;
  readonly isUtf8: boolean;
  /** Everything, the sample included. */
  readonly all: AsyncGenerator<Buffer>;
}

/** Reads on until it is certain what the text is, and no further. What is decided does not depend on where chunks end. */
async function takeSample(first: Buffer, chunks: AsyncGenerator<Buffer>): Promise<Sample> {
  const start = first.findIndex((byte) => byte >= 0x80);
  const parts = [first];
  let counted = countUtf8(first.subarray(start), 0);
  let length = first.length - start;
  while (counted.count < certain && length < sampleLength) {
    const next = await chunks.next();
    if (next.done === true) break;
    parts.push(next.value);
    length += next.value.length;
    if (!counted.isBroken) counted = countUtf8(Buffer.concat([counted.rest, next.value]), counted.count);
  }
  const bytes = parts.length === 1 ? first : Buffer.concat(parts);
  return {
    bytes: bytes.subarray(0, start + sampleLength),
    isUtf8: counted.count >= certain || !counted.isBroken,
    all: prepend(bytes, chunks),
  };
}

interface Counted {
  readonly count: number;
  /** There are bytes that are not UTF-8. */
  readonly isBroken: boolean;
  /** The beginning of a character whose end is still to come. */
  readonly rest: Buffer;
}

/** Counts on the characters beside ASCII up to the first that is not UTF-8, but no more than make it certain. */
function countUtf8(bytes: Buffer, before: number): Counted {
  let count = before;
  for (let at = 0; at < bytes.length && count < certain;) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x80) {
      at += 1;
      continue;
    }
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    const sequence = bytes.subarray(at, at + length);
    const isLead = byte >= 0xc2 && byte <= 0xf4;
    if (!isLead || !sequence.subarray(1).every((next) => next >> 6 === 2)) {
      return { count, isBroken: true, rest: nothing };
    }
    if (sequence.length < length) return { count, isBroken: false, rest: sequence };
    count += 1;
    at += length;
  }
  return { count, isBroken: false, rest: nothing };
}
