import type { Reading } from "../../domain/requests/reading.ts";
import type { LineBlock } from "../bytes/split-lines.ts";
import type { IntakeRecord } from "./intake-record.ts";
import type { NumberOptions } from "./to-records.ts";

/** Reads one file's lines, block by block, in one format. */
export interface LineReader {
  /** The records that this block completes. */
  read(block: LineBlock): IntakeRecord[];
  /** What is left when there are no more lines. */
  end(): IntakeRecord[];
}

/** What a reader of any format is told. */
export interface ReaderOptions extends NumberOptions {
  /** The column or key of the numbers, and no other; undefined: those with known names. */
  readonly column: string | undefined;
  readonly refColumn: string | undefined;
  /** Of the text, from `parseEncoding`; undefined: it is found out. */
  readonly encoding: string | undefined;
  /** The sheet of a workbook; undefined: the first with a column of numbers. */
  readonly sheet: string | undefined;
  /** The reader's to fill in. */
  readonly reading: Reading;
}
