import { createReading, type Reading, type RecordUnit } from "../domain/requests/reading.ts";
import { parseEncoding } from "./bytes/encodings.ts";
import { parseCountry } from "./ids/phone.ts";
import type { ReaderOptions } from "./records/line-reader.ts";

/** How to find the contacts in a record. */
export interface ContactColumns {
  /** The column or key of the chat id or phone, and no other: a name, or in a table its number from 1. Default: known names. */
  readonly column?: string;
  /** The column or key of the CRM's own id. Default: `external_ref` or `ref`, where there is one. */
  readonly refColumn?: string;
  /** ISO 3166 alpha-2 in any case, for phone numbers without a plus. Default: they are international. */
  readonly defaultCountry?: string;
  /** Of each record one contact alone: the likeliest mobile. Default: all its numbers. */
  readonly firstNumber?: boolean;
  /** Of the text, by any of its labels. Default: found out. */
  readonly encoding?: string;
  /** Of a workbook. Default: the first with a column of numbers. */
  readonly sheet?: string;
  /** Filled in while the input is read. */
  readonly reading?: Reading;
}

/** @throws UserError `unknown-country`, `unknown-encoding` */
export function toReaderOptions(
  { column, refColumn, defaultCountry, firstNumber = false, encoding, sheet, reading }: ContactColumns,
  unit: RecordUnit,
): ReaderOptions {
  return {
    column,
    refColumn,
    firstNumber,
    sheet,
    encoding: encoding === undefined ? undefined : parseEncoding(encoding),
    defaultCountry: defaultCountry === undefined ? undefined : parseCountry(defaultCountry),
    reading: reading ?? createReading(unit),
  };
}
