import { readSync } from "node:fs";
import { UserError } from "../../lib/errors.ts";
import type { Spool } from "./open-spool.ts";

/** Strings by their number, in files: a workbook may share millions. */
export interface StringTable {
  /** Appends them, in their order. */
  add(strings: readonly string[]): Promise<void>;
  /**
   * The string of this number, from 0; blank where there is none.
   * @throws UserError `too-large-workbook` where all that were read come to more than a sheet may have
   */
  get(index: number): string;
}

const offsetBytes = 6;
const blockBytes = 64 * 1024;
const maxBlocks = 32;
const MiB = 1024 * 1024;
/** A long string takes a sheet few bytes each time it is named. */
const maxReadBytes = 4096 * MiB;

/**
 * Keeps strings in one spool and their ends in another, each read through a few blocks that are kept: rows ask for strings in
 * nearly the order in which they were written. Memory does not grow with the table.
 */
export function createStringTable(texts: Spool, ends: Spool, mostBytes = maxReadBytes): StringTable {
  const readText = createBlockReader(texts);
  const readEnd = createBlockReader(ends);
  const getEnd = (index: number) =>
    index < 0 ? 0 : readEnd(index * offsetBytes, offsetBytes).readUIntBE(0, offsetBytes);
  let count = 0;
  let read = 0;
  return {
    async add(strings) {
      const bytes = strings.map((text) => Buffer.from(text));
      const offsets = Buffer.alloc(strings.length * offsetBytes);
      let end = texts.size();
      bytes.forEach((text, index) => {
        end += text.length;
        offsets.writeUIntBE(end, index * offsetBytes, offsetBytes);
      });
      await texts.append(Buffer.concat(bytes));
      await ends.append(offsets);
      count += strings.length;
    },
    get(index) {
      if (!Number.isInteger(index) || index < 0 || index >= count) return "";
      const from = getEnd(index - 1);
      const length = getEnd(index) - from;
      read += length;
      if (read > mostBytes) {
        throw new UserError(
          "too-large-workbook",
          `the texts in the Excel workbook come to more than ${Math.floor(mostBytes / MiB)} MiB, each counted where it stands: save the sheet as CSV`,
        );
      }
      return readText(from, length).toString();
    },
  };
}

/** Reads a part of a spool to which nothing is added any more. What lies in one block is not copied. */
function createBlockReader({ fd, size }: Spool): (from: number, length: number) => Buffer {
  const blocks = new Map<number, Buffer>();
  const getBlock = (number: number): Buffer => {
    let block = blocks.get(number);
    if (block === undefined) {
      block = Buffer.allocUnsafeSlow(Math.min(blockBytes, size() - number * blockBytes));
      // From the system's cache, as a rule: the file was written a moment ago.
      readSync(fd, block, 0, block.length, number * blockBytes);
      if (blocks.size >= maxBlocks) blocks.delete(blocks.keys().next().value ?? 0);
    } else blocks.delete(number);
    blocks.set(number, block);
    return block;
  };
  return (from, length) => {
    const pieces: Buffer[] = [];
    const end = from + length;
    for (let at = from; at < end;) {
      const number = Math.floor(at / blockBytes);
      const start = at - number * blockBytes;
      const piece = getBlock(number).subarray(start, Math.min(blockBytes, start + end - at));
      pieces.push(piece);
      at += piece.length;
    }
    const [only = Buffer.alloc(0)] = pieces;
    return pieces.length <= 1 ? only : Buffer.concat(pieces);
  };
}
