import type { Readable } from "node:stream";
import { TextDecoder } from "node:util";
import { crc32 } from "node:zlib";
import yauzl from "yauzl";
import { toBroken, toUnsupported } from "./broken-workbook.ts";
import { UserError } from "../../lib/errors.ts";
import type { Spool } from "./open-spool.ts";

/** The parts of a workbook, which is a zip archive. */
export interface WorkbookPackage {
  /** Names in small letters, as they are in it. */
  readonly names: ReadonlySet<string>;
  /**
   * The text of a part, piece by piece.
   * @param name as it is, or in other letters; a part that is missing is an error
   * @param maxBytes unzipped; by default what a sheet may have
   * @throws UserError `broken-workbook`, `too-dense-workbook`, `too-large-workbook`, `input-unreadable`
   */
  read(name: string, maxBytes?: number): AsyncGenerator<string>;
}

const MiB = 1024 * 1024;
/** As of gzip: no list of contacts is denser, and a bomb unzips to a thousand times. */
const maxRatio = 400;
const uncheckedBytes = 4 * MiB;
/** A million rows of fifty columns take half of it. */
const maxPartBytes = 4096 * MiB;
/** Of all that is read, some of it twice: many sheets may have one part. */
const maxReadBytes = 2 * maxPartBytes;
/** A workbook with a picture in each row has fewer. */
const maxEntries = 100_000;
/** Of the names of parts, and what is beside them. */
const maxNameBytes = 16 * MiB;

export interface PackageOptions {
  /** Ends the reading of parts. */
  readonly signal?: AbortSignal | undefined;
  /** Of all parts together, unzipped. */
  readonly mostBytes?: number;
}

/**
 * Opens the zip archive in a spool. No part is unpacked to a file, and none by its name in the archive.
 * @throws UserError `broken-workbook`, and `unsupported-file` for one with a password
 */
export async function openPackage(
  spool: Spool,
  { signal, mostBytes = maxReadBytes }: PackageOptions = {},
): Promise<WorkbookPackage> {
  const zip = await yauzl.fromFdPromise(spool.fd, { autoClose: false }).catch(toZipError);
  if (zip.entryCount > maxEntries) throw toBroken(`it has more than ${maxEntries} parts`);
  const entries = await listEntries(zip);
  let read = 0;
  const count = (bytes: number) => {
    if (signal?.aborted) throw toStopped(signal);
    read += bytes;
    if (read > mostBytes) throw toTooLarge("its sheets, read one after the other", mostBytes);
  };
  return {
    names: new Set(entries.keys()),
    async *read(name, maxBytes = maxPartBytes) {
      const entry = entries.get(name.toLowerCase());
      if (entry === undefined) throw toBroken(`the part ${name} is missing`);
      assertBounds(entry, name, maxBytes);
      yield* decode(readBytes(zip, entry, count));
    },
  };
}

async function listEntries(zip: yauzl.ZipFile): Promise<Map<string, yauzl.Entry>> {
  const entries = new Map<string, yauzl.Entry>();
  try {
    let nameBytes = 0;
    for await (const entry of zip.eachEntry()) {
      nameBytes += entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
      if (nameBytes > maxNameBytes) throw toBroken("the names of its parts are too long");
      entries.set(entry.fileName.toLowerCase(), entry);
    }
  } catch (error) {
    toZipError(error);
  }
  return entries;
}

/** What an entry says of itself holds: yauzl ends what turns out to be longer. */
function assertBounds(entry: yauzl.Entry, name: string, maxBytes: number): void {
  const { uncompressedSize, compressedSize } = entry;
  if (entry.isEncrypted()) {
    throw toUnsupported("a zip archive with a password", "unpack it, or save the workbook without one");
  }
  if (!entry.canDecodeFileData()) throw toBroken(`the part ${name} is compressed in a way no workbook is`);
  if (uncompressedSize > uncheckedBytes && uncompressedSize > maxRatio * compressedSize) {
    throw new UserError(
      "too-dense-workbook",
      `the Excel workbook unzips to more than ${maxRatio} times its size (${name}), as no list of contacts does: if it is right, save the sheet as CSV`,
    );
  }
  if (uncompressedSize > maxBytes) {
    throw toTooLarge(name, maxBytes);
  }
}

async function* readBytes(
  zip: yauzl.ZipFile,
  entry: yauzl.Entry,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  let stream: Readable | undefined;
  try {
    stream = await zip.openReadStreamPromise(entry);
    let sum = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      count(chunk.length);
      sum = crc32(chunk, sum);
      yield chunk;
    }
    if (sum !== entry.crc32) throw toBroken("a checksum is wrong");
  } catch (error) {
    toZipError(error);
  } finally {
    stream?.destroy();
  }
}

/** UTF-8 as Excel writes it, or UTF-16, which the standard also allows. */
async function* decode(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined;
  for await (const chunk of chunks) {
    decoder ??= new TextDecoder(toEncoding(chunk));
    yield decoder.decode(chunk, { stream: true });
  }
  if (decoder !== undefined) yield decoder.decode();
}

function toEncoding(head: Buffer): string {
  const mark = head.toString("hex", 0, 2);
  return mark === "fffe" ? "utf-16le" : mark === "feff" ? "utf-16be" : "utf-8";
}

function toTooLarge(what: string, bytes: number): UserError {
  return new UserError(
    "too-large-workbook",
    `the Excel workbook unzips to more than ${Math.floor(bytes / MiB)} MiB (${what}): save the sheet as CSV`,
  );
}

/** As of an input that breaks off. */
function toStopped({ reason }: AbortSignal): UserError {
  return new UserError("input-unreadable", "the input could not be read to its end: try again", {
    cause: reason,
  });
}

/** No word of yauzl's is passed on: it may hold names. */
function toZipError(cause: unknown): never {
  if (cause instanceof UserError) throw cause;
  const isPath = cause instanceof Error && /^(?:absolute|invalid relative) path/.test(cause.message);
  throw toBroken(
    isPath ? "the name of a part leads out of the archive" : "the zip archive cannot be read",
    cause,
  );
}
