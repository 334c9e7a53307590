import { type IntakeRecord, type RecordSource, toReject } from "../records/intake-record.ts";
import { noNumber, type NumberOptions, toRecords } from "../records/to-records.ts";
import type { TableLayout } from "./choose-columns.ts";

/** Where a row stands; `placeOf` is asked for the index of a column. */
export interface RowSource extends Omit<RecordSource, "placeOf"> {
  readonly placeOf?: (column: number | undefined) => string;
}

/** The records of one row of a table; none where the whole row is blank. */
export function readRow(
  source: RowSource,
  fields: readonly string[],
  { idColumns, refColumn }: TableLayout,
  options: NumberOptions,
): IntakeRecord[] {
  const ref = refColumn === undefined ? undefined : fields[refColumn];
  const [first] = idColumns;
  const cell = first?.length === 1 ? fields[first[0]!] : undefined;
  if (isFilled(cell) && source.placeOf === undefined) return toRecords(source, [cell], ref, options);
  for (const group of idColumns) {
    const columns = group.filter((column) => isFilled(fields[column]));
    if (columns.length === 0) continue;
    const cells = columns.map((column) => fields[column] ?? "");
    return toRecords(locate(source, columns), cells, ref, options);
  }
  // Spreadsheets end in rows of nothing but delimiters.
  if (fields.every((cell) => cell.trim() === "")) return [];
  return [toReject(locate(source, []), noNumber)];
}

function isFilled(cell: string | undefined): cell is string {
  return cell !== undefined && cell.trim() !== "";
}

/** Names columns to what knows the cells alone. */
function locate(source: RowSource, columns: readonly number[]): RecordSource {
  const { placeOf, line } = source;
  if (placeOf === undefined) return source;
  return {
    line,
    // For the few that are rejected.
    get text() {
      return source.text;
    },
    placeOf: (cell) => placeOf(cell === undefined ? undefined : columns[cell]),
  };
}
