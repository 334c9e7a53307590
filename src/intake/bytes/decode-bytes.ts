import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { UserError } from "../../lib/errors.ts";

const maxChunk = 64 * 1024;
const magicLength = 4;

/**
 * Exports of contacts unzip to 3 to 100 times their size, one with two thousand empty columns to 344 times. A bomb unzips to a
 * thousand times. Input that has not unzipped to more than a few MiB costs little, whatever it is.
 */
const maxRatio = 400;
const uncheckedMiB = 4;
const MiB = 1024 * 1024;

const gzipMagic = "1f8b";
const refusedMagics: ReadonlyArray<readonly [magic: string, what: string, remedy: string]> = [
  ["28b52ffd", "compressed with zstd", "decompress it, or use gzip"],
  ["fd377a58", "compressed with xz", "decompress it, or use gzip"],
];

/**
 * The bytes of `source` in chunks of at most 64 KiB or so. Input that starts like gzip is gunzipped. The caller destroys the
 * source in the end.
 * @throws UserError `unsupported-file`, `broken-gzip`, `too-dense-gzip`, `input-unreadable`; the last three also while it is read
 */
export async function openBytes(source: Readable): Promise<OpenedBytes> {
  let bytes = await peek(readSource(source));
  if (bytes.magic.startsWith(gzipMagic)) bytes = await peek(gunzip(bytes.chunks));
  refuse(bytes.magic);
  return bytes;
}

export interface OpenedBytes {
  /** The first four bytes, or fewer, in hex. */
  readonly magic: string;
  /** Everything, those bytes included. */
  readonly chunks: AsyncGenerator<Buffer>;
}

async function peek(chunks: AsyncGenerator<Buffer>): Promise<OpenedBytes> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < magicLength) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return { magic: head.toString("hex", 0, magicLength), chunks: prepend(head, chunks) };
}

async function* prepend(head: Buffer, chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  yield* chunks;
}

async function* readSource(source: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of source as AsyncIterable<string | Uint8Array>) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : toBuffer(chunk);
      for (let at = 0; at < bytes.length; at += maxChunk) yield bytes.subarray(at, at + maxChunk);
    }
  } catch (cause) {
    throw new UserError("input-unreadable", "the input could not be read to its end: try again", { cause });
  }
}

function toBuffer(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

async function* gunzip(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const unzipped = createGunzip({ chunkSize: maxChunk });
  // Errors of either side come out of the iteration below.
  pipeline(chunks, unzipped, () => {});
  try {
    let length = 0;
    for await (const chunk of unzipped as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > uncheckedMiB * MiB && length > maxRatio * unzipped.bytesWritten) throw tooDense(length);
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const truncated = cause instanceof Error && "code" in cause && cause.code === "Z_BUF_ERROR";
    throw new UserError(
      "broken-gzip",
      truncated
        ? "the gzip data ends too early: the file is incomplete, copy it again"
        : "the gzip data is damaged: `gzip -t FILE` shows where, copy the file again",
      { cause },
    );
  }
}

function tooDense(length: number): UserError {
  return new UserError(
    "too-dense-gzip",
    `the gzip data unzips to more than ${maxRatio} times its size, seen after ${Math.floor(length / MiB)} MiB, as no list of contacts does: look at it with \`gunzip -c FILE | head\`, and if it is right, unzip it before`,
  );
}

function refuse(magic: string): void {
  for (const [start, what, remedy] of refusedMagics) {
    if (magic === start) throw new UserError("unsupported-file", `the input is ${what}: ${remedy}`);
  }
}
