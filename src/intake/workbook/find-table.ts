import { toExcerpt } from "../../domain/chat-id.ts";
import { UserError } from "../../lib/errors.ts";
import { knownNames } from "../records/column-names.ts";
import {
  chooseColumns,
  findHeader,
  listColumns,
  looksLikeId,
  type TableLayout,
  type WantedColumns,
} from "../tables/choose-columns.ts";
import { readColumn } from "./cell-text.ts";
import type { Sheet } from "./find-sheets.ts";
import type { SheetRow } from "./parse-rows.ts";

/** Where the list is: a sheet may have a title, or a form, above it. */
export interface SheetTable {
  readonly sheet: Sheet;
  readonly layout: TableLayout;
  /** The row that the layout was told from. */
  readonly row: SheetRow;
}

/** Rows with anything in them that are looked at, of each sheet. */
const maxRows = 100;
const maxListed = 20;
/** Looked at for the name of a column, over all sheets: a hundred rows of the widest. Each costs more than it takes in a file. */
const maxCells = 2_000_000;

/**
 * Finds the first sheet and row that name a column of numbers. Where none does, the first sheet that begins with numbers is a
 * list without a header. Sheets that are hidden come last.
 * @param readRows the rows of a sheet, read again each time, as far as they are asked for
 * @throws UserError `no-contact-column`, `column-not-found`, `sheet-not-found`
 */
export async function findTable(
  sheets: readonly Sheet[],
  wanted: WantedColumns & { readonly sheet: string | undefined },
  readRows: (sheet: Sheet) => AsyncIterable<SheetRow>,
): Promise<SheetTable | undefined> {
  const beginnings: string[] = [];
  let list: SheetTable | undefined;
  let cells = 0;
  for (const sheet of chooseSheets(sheets, wanted.sheet)) {
    let seen = 0;
    for await (const row of readRows(sheet)) {
      const layout = toHeader(row, wanted);
      if (layout !== undefined) return { sheet, row, layout };
      if (seen === 0) {
        list ??= toList(sheet, row, wanted);
        // A row may be long, and sheets many: none is kept whole.
        if (beginnings.length < maxListed) beginnings.push(describeSheet(sheet, row));
      }
      seen += 1;
      cells += row.fields.length;
      if (seen >= maxRows || cells > maxCells) break;
    }
    if (cells > maxCells) break;
  }
  if (list === undefined && beginnings.length > 0) throw toNotFound(beginnings, wanted);
  return list;
}

function chooseSheets(sheets: readonly Sheet[], wanted: string | undefined): readonly Sheet[] {
  if (wanted === undefined) {
    return [...sheets.filter(({ isHidden }) => !isHidden), ...sheets.filter(({ isHidden }) => isHidden)];
  }
  const sheet =
    sheets.find(({ name }) => name === wanted) ?? sheets.find(({ name }) => fold(name) === fold(wanted));
  if (sheet !== undefined) return [sheet];
  const names = sheets.slice(0, maxListed).map(({ name }) => `"${toExcerpt(name)}"`);
  throw new UserError(
    "sheet-not-found",
    `no sheet "${toExcerpt(wanted)}" for --sheet; there is ${names.join(", ")}${sheets.length > names.length ? ", …" : ""}`,
  );
}

function fold(name: string): string {
  return name.trim().toLowerCase();
}

/** The layout that a row names; undefined: it names none. @throws UserError for `refColumn` */
function toHeader({ fields }: SheetRow, wanted: WantedColumns): TableLayout | undefined {
  const { column } = wanted;
  if (column !== undefined) {
    const name = findName(fields, column);
    return name === undefined ? undefined : chooseColumns(fields, { ...wanted, column: name });
  }
  // A form has its numbers beside their names; a header has names alone.
  if (findHeader(fields, {}) === undefined || fields.some(looksLikeId)) return undefined;
  return findHeader(fields, wanted);
}

/** The column as `chooseColumns` takes it, where the row has it: by its name, its number from 1, or its letters. */
function findName(fields: readonly string[], column: string): string | undefined {
  if (hasColumn(fields, column)) return column;
  const index = /^[a-z]{1,3}$/i.test(column.trim()) ? readColumn(column.trim()) : undefined;
  const position = index === undefined ? undefined : String(index + 1);
  return position !== undefined && hasColumn(fields, position) ? position : undefined;
}

function hasColumn(fields: readonly string[], column: string): boolean {
  try {
    chooseColumns(fields, { column });
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/** A list without a header: the first column that begins with a number. */
function toList(sheet: Sheet, row: SheetRow, wanted: WantedColumns): SheetTable | undefined {
  if (wanted.column !== undefined) return undefined;
  const index = row.fields.findIndex(looksLikeId);
  if (index < 0) return undefined;
  const { refColumn } = chooseColumns(row.fields, { ...wanted, column: String(index + 1) });
  return { sheet, row, layout: { header: false, idColumns: [[index]], refColumn } };
}

function describeSheet({ name }: Sheet, { fields }: SheetRow): string {
  return `sheet "${toExcerpt(name)}" begins with ${listColumns(fields)}`;
}

function toNotFound(beginnings: readonly string[], { column }: WantedColumns): UserError {
  const there = beginnings.join("; ");
  return column === undefined
    ? new UserError(
        "no-contact-column",
        `no column is called ${knownNames}; ${there}: say which one with --column NAME`,
      )
    : new UserError("column-not-found", `no column "${toExcerpt(column)}" for --column; ${there}`);
}
