import type { CountryCode } from "libphonenumber-js/max";
import type { IntakeRecord } from "./intake-record.ts";
import type { LineBlock } from "./split-lines.ts";

/** Reads one file's lines, block by block, in one format. */
export interface LineReader {
  /** The records that this block completes. */
  read(block: LineBlock): IntakeRecord[];
  /** What is left when there are no more lines. */
  end(): IntakeRecord[];
}

export interface LineReaderOptions {
  readonly column?: string;
  readonly refColumn?: string;
  readonly defaultCountry: CountryCode | undefined;
}
