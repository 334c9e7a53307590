import { toBroken } from "./broken-workbook.ts";
import { appendText, readColumn, toNumberText, unescapeText } from "./cell-text.ts";
import { createXmlReader } from "./read-xml.ts";
import type { StringTable } from "./string-table.ts";

/** A row of a sheet that has anything in it. */
export interface SheetRow {
  /** From 1. */
  readonly number: number;
  /** The texts of its cells, by the slots of their columns. */
  readonly fields: readonly string[];
}

/** What is kept of a row. */
export interface Slots {
  /** The place of a column's text among the fields, or `other`. */
  readonly toSlot: (column: number) => number;
  /** The place of a mark, where a row has anything in a column without a slot. */
  readonly other: number;
  /** The longest text of a cell, in UTF-16: longer ones are cut. */
  readonly maxText: number;
}

export interface RowParser {
  /** The rows that this piece of the sheet completes. */
  read(text: string): SheetRow[];
  end(): void;
}

const maxColumns = 16_384;
/** Excel has 1,048,576; other programs write more. */
const maxRow = 2 ** 31 - 1;
const mark = "…";

interface ParsedRow {
  readonly number: number;
  readonly fields: string[];
  /** The next column, where a cell does not name its own. */
  nextColumn: number;
  /** Strings in columns without a slot: looked at only where the row has nothing else. */
  readonly others: number[];
  /** All that were opened, whatever their columns. */
  cells: number;
}

interface ParsedCell {
  readonly slot: number;
  readonly type: string;
  text: string;
}

interface Parsing {
  readonly strings: StringTable;
  readonly slots: Slots;
  rows: SheetRow[];
  row: ParsedRow | undefined;
  lastNumber: number;
  cell: ParsedCell | undefined;
  /** Inside an element whose text is the cell's. */
  isValue: boolean;
  /** Inside the reading aid of a text, which is no part of it. */
  isAid: boolean;
}

/** Reads the rows of one sheet, piece by piece. @throws UserError `broken-workbook` */
export function createRowParser(part: string, strings: StringTable, slots: Slots): RowParser {
  const parsing: Parsing = {
    strings,
    slots,
    rows: [],
    row: undefined,
    lastNumber: 0,
    cell: undefined,
    isValue: false,
    isAid: false,
  };
  const xml = createXmlReader(part, {
    open: (name, attributes) => openElement(parsing, name, attributes),
    text(text) {
      const { cell } = parsing;
      if (cell && parsing.isValue && !parsing.isAid) cell.text = appendText(cell.text, text);
    },
    close: (name) => closeElement(parsing, name),
  });
  return {
    read(text) {
      xml.write(text);
      const { rows } = parsing;
      parsing.rows = [];
      return rows;
    },
    end: () => xml.end(),
  };
}

function openElement(parsing: Parsing, name: string, attributes: Readonly<Record<string, string>>): void {
  const { row } = parsing;
  if (name === "row") parsing.row = openRow(parsing, attributes["r"]);
  else if (name === "c" && row !== undefined) parsing.cell = openCell(parsing, row, attributes);
  else if (name === "v" || name === "t") parsing.isValue = true;
  else if (name === "rPh") parsing.isAid = true;
}

function closeElement(parsing: Parsing, name: string): void {
  const { row, cell } = parsing;
  if (name === "row") {
    if (row !== undefined) closeRow(parsing, row);
    parsing.row = undefined;
  } else if (name === "c") {
    if (row !== undefined && cell !== undefined) closeCell(parsing, row, cell);
    parsing.cell = undefined;
  } else if (name === "v" || name === "t") parsing.isValue = false;
  else if (name === "rPh") parsing.isAid = false;
}

function openRow(parsing: Parsing, reference: string | undefined): ParsedRow {
  const number = reference === undefined ? parsing.lastNumber + 1 : Number(reference);
  if (!Number.isInteger(number) || number < 1 || number > maxRow)
    throw toBroken("a row has no number that a row can have");
  parsing.lastNumber = number;
  return { number, fields: [], nextColumn: 0, cells: 0, others: [] };
}

function openCell(
  { slots }: Parsing,
  row: ParsedRow,
  { r = "", t = "n" }: Readonly<Record<string, string>>,
): ParsedCell {
  const column = readColumn(r) ?? row.nextColumn;
  if (column >= maxColumns) throw toBroken(`a row has more than ${maxColumns} columns`);
  row.nextColumn = column + 1;
  // Cells of the same column, again and again, would fill the memory with one row.
  row.cells += 1;
  if (row.cells > maxColumns) throw toBroken(`a row has more than ${maxColumns} cells`);
  return { slot: slots.toSlot(column), type: t, text: "" };
}

function closeCell({ strings, slots }: Parsing, row: ParsedRow, { slot, type, text }: ParsedCell): void {
  if (text === "") return;
  if (slot !== slots.other) row.fields[slot] = appendText("", toText(strings, type, text), slots.maxText);
  else if (type === "s") row.others.push(Number(text));
  else if (text.trim() !== "") row.fields[slot] = mark;
}

function toText(strings: StringTable, type: string, text: string): string {
  switch (type) {
    case "s":
      return strings.get(Number(text));
    case "n":
      return toNumberText(text);
    case "b":
      return text.trim() === "1" ? "TRUE" : "FALSE";
    default:
      // Texts; also an error (`#N/A`) and a date, which are no numbers, and shown as they are.
      return unescapeText(text);
  }
}

function closeRow({ rows, strings, slots }: Parsing, { number, fields, others }: ParsedRow): void {
  if (!fields.some(isFilled)) {
    if (!others.some((index) => isFilled(strings.get(index)))) return;
    fields[slots.other] = mark;
  }
  rows.push({ number, fields: Array.from(fields, (text) => text ?? "") });
}

function isFilled(text: string): boolean {
  return text.trim() !== "";
}
