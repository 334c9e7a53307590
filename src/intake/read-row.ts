import type { TableLayout } from "./choose-columns.ts";
import { type IntakeRecord, type RecordSource, toIntakeRecord, toReject } from "./intake-record.ts";
import type { LineReaderOptions } from "./line-reader.ts";

/** The record of one row of a table; none where the whole row is blank. */
export function readRow(
  source: RecordSource,
  fields: readonly string[],
  layout: TableLayout,
  { defaultCountry }: Pick<LineReaderOptions, "defaultCountry">,
): IntakeRecord[] {
  const column = layout.idColumns.find((index) => fields[index] !== undefined && fields[index].trim() !== "");
  const id = column === undefined ? undefined : fields[column];
  if (id !== undefined) {
    const ref = layout.refColumn === undefined ? undefined : fields[layout.refColumn];
    return [toIntakeRecord(source, id, ref, defaultCountry)];
  }
  // Spreadsheets end in rows of nothing but delimiters.
  if (fields.every((cell) => cell.trim() === "")) return [];
  return [toReject(source, "no chat id or phone number")];
}
