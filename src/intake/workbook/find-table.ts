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
  const firsts: { readonly sheet: Sheet; readonly row: SheetRow }[] = [];
  for (const sheet of chooseSheets(sheets, wanted.sheet)) {
    let seen = 0;
    for await (const row of readRows(sheet)) {
      if (seen === 0) firsts.push({ sheet, row });
      const layout = toHeader(row, wanted);
      if (layout !== undefined) return { sheet, row, layout };
      seen += 1;
      if (seen >= maxRows) break;
    }
  }
  if (firsts.length === 0) return undefined;
  for (const { sheet, row } of firsts) {
    const layout = toList(row, wanted);
    if (layout !== undefined) return { sheet, row, layout };
  }
  throw toNotFound(firsts, wanted);
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
function toList({ fields }: SheetRow, wanted: WantedColumns): TableLayout | undefined {
  if (wanted.column !== undefined) return undefined;
  const index = fields.findIndex(looksLikeId);
  if (index < 0) return undefined;
  const { refColumn } = chooseColumns(fields, { ...wanted, column: String(index + 1) });
  return { header: false, idColumns: [[index]], refColumn };
}

function toNotFound(
  firsts: readonly { readonly sheet: Sheet; readonly row: SheetRow }[],
  { column }: WantedColumns,
): UserError {
  const there = firsts
    .slice(0, maxListed)
    .map(({ sheet, row }) => `sheet "${toExcerpt(sheet.name)}" begins with ${listColumns(row.fields)}`)
    .join("; ");
  return column === undefined
    ? new UserError(
        "no-contact-column",
        `no column is called ${knownNames}; ${there}: say which one with --column NAME`,
      )
    : new UserError("column-not-found", `no column "${toExcerpt(column)}" for --column; ${there}`);
}
