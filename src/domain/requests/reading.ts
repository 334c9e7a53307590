/** The unit of records' numbers: lines of a file, rows of a table or a list, cards of an address book, items of a JSON array. */
export type RecordUnit = "line" | "row" | "card" | "item";

/** What was found out about an input while it was read. Its reader fills it in as it goes: whole only at the end. */
export interface Reading {
  unit: RecordUnit;
  /** In words for people: `CSV`, `NDJSON`, `JSON`, `vCard`, `Excel`; undefined while nothing was read. */
  format: string | undefined;
  /** The name of the text's encoding, such as `windows-1251`; undefined for plain ASCII, and for what is no text. */
  encoding: string | undefined;
  /** Of a workbook. */
  sheet: string | undefined;
  /** The columns or keys that contacts were looked for in, by name, or by number where there is no header. Bounded. */
  readonly columns: string[];
  refColumn: string | undefined;
}

/** Where a record stands, for a message: `line 7`, or the place in its own words. */
export function namePlace(
  { position, place }: { readonly position: number; readonly place?: string },
  { unit }: Pick<Reading, "unit">,
): string {
  return place ?? `${unit} ${position}`;
}

/** Nothing is known yet. */
export function createReading(unit: RecordUnit = "line"): Reading {
  return {
    unit,
    format: undefined,
    encoding: undefined,
    sheet: undefined,
    columns: [],
    refColumn: undefined,
  };
}
