import { toExcerpt } from "../../domain/chat-id.ts";
import { inTurns } from "../../lib/in-turns.ts";
import { UserError } from "../../lib/errors.ts";
import { type IntakeRecord, toReject } from "../records/intake-record.ts";
import type { ReaderOptions } from "../records/line-reader.ts";
import { noteLayout, type TableLayout } from "../tables/choose-columns.ts";
import { readRow } from "../tables/read-row.ts";
import { maxCellLength, toLetters } from "./cell-text.ts";
import { findSheets, type Sheet } from "./find-sheets.ts";
import { findTable } from "./find-table.ts";
import { openPackage, type WorkbookPackage } from "./open-package.ts";
import { openSpool, type Spool } from "./open-spool.ts";
import { createRowParser, type SheetRow, type Slots } from "./parse-rows.ts";
import { readSharedStrings } from "./read-shared-strings.ts";
import { createStringTable, type StringTable } from "./string-table.ts";

const MiB = 1024 * 1024;
/** A list of seven million contacts takes as much. */
const maxBytes = 256 * MiB;
/** Of a cell that may name a column, in UTF-16. */
const maxName = 500;

/**
 * Reads contacts from a sheet of an Excel workbook (.xlsx). The file is kept outside of memory meanwhile, and the strings that
 * its cells share: memory does not grow with either. Time is linear in what it unzips to, which is bounded. Yields chunks in
 * the order of the rows, whose numbers take the place of lines.
 * @param chunks the file
 * @param signal ends the reading
 * @throws UserError for a file that is no workbook, is damaged, has macros or a password, or is larger than any list
 */
export async function* readWorkbook(
  chunks: AsyncIterable<Buffer>,
  options: ReaderOptions,
  signal?: AbortSignal,
): AsyncGenerator<IntakeRecord[]> {
  const spools: Spool[] = [];
  const open = async () => {
    const spool = await openSpool();
    spools.push(spool);
    return spool;
  };
  try {
    const file = await open();
    await spoolFile(chunks, file);
    const workbook = await openPackage(file, { signal });
    const { sheets, stringsPart } = await findSheets(workbook);
    const strings = createStringTable(await open(), await open());
    if (stringsPart !== undefined) await readSharedStrings(workbook, stringsPart, strings);
    yield* readTable(workbook, sheets, strings, options);
  } finally {
    for (const spool of spools.toReversed()) await spool.close();
  }
}

async function spoolFile(chunks: AsyncIterable<Buffer>, file: Spool): Promise<void> {
  for await (const chunk of chunks) {
    await file.append(chunk);
    if (file.size() > maxBytes) {
      throw new UserError(
        "too-large-workbook",
        `the Excel workbook is larger than ${maxBytes / MiB} MiB: save the sheet as CSV, which has no limit`,
      );
    }
  }
}

async function* readTable(
  workbook: WorkbookPackage,
  sheets: readonly Sheet[],
  strings: StringTable,
  options: ReaderOptions,
): AsyncGenerator<IntakeRecord[]> {
  const all: Slots = { toSlot: (column) => column, other: -1, maxText: maxName };
  const table = await findTable(sheets, options, (sheet) => readRows(workbook, sheet, strings, all));
  options.reading.unit = "row";
  options.reading.format = "Excel";
  if (table === undefined) return;
  const { sheet, row, layout } = table;
  options.reading.sheet = toExcerpt(sheet.name);
  noteLayout(row.fields, layout, options.reading);
  const kept = keepColumns(layout);
  const first = layout.header ? row.number + 1 : row.number;
  for await (const rows of readRowBlocks(workbook, sheet, strings, kept.slots)) {
    for await (const { items } of inTurns(rows)) {
      yield items
        .filter(({ number }) => number >= first)
        .flatMap((each) => toRecords(each, sheet, kept, options));
    }
  }
}

async function* readRows(
  workbook: WorkbookPackage,
  sheet: Sheet,
  strings: StringTable,
  slots: Slots,
): AsyncGenerator<SheetRow> {
  for await (const rows of readRowBlocks(workbook, sheet, strings, slots)) yield* rows;
}

async function* readRowBlocks(
  workbook: WorkbookPackage,
  { part }: Sheet,
  strings: StringTable,
  slots: Slots,
): AsyncGenerator<readonly SheetRow[]> {
  const parser = createRowParser(part, strings, slots);
  for await (const piece of workbook.read(part)) yield parser.read(piece);
  parser.end();
}

/** A layout over the few columns that are kept of each row. */
interface KeptColumns {
  readonly slots: Slots;
  /** By slot. */
  readonly columns: readonly number[];
  readonly layout: TableLayout;
}

function keepColumns({ idColumns, refColumn, header }: TableLayout): KeptColumns {
  const columns = [...new Set([...idColumns.flat(), ...(refColumn === undefined ? [] : [refColumn])])];
  const bySlot = new Map(columns.map((column, slot) => [column, slot]));
  const other = columns.length;
  const toSlot = (column: number) => bySlot.get(column) ?? other;
  return {
    slots: { toSlot, other, maxText: maxCellLength + 1 },
    columns,
    layout: {
      header,
      idColumns: idColumns.map((group) => group.map(toSlot)),
      refColumn: refColumn === undefined ? undefined : toSlot(refColumn),
    },
  };
}

function toRecords(
  { number, fields }: SheetRow,
  sheet: Sheet,
  { columns, layout, slots }: KeptColumns,
  options: ReaderOptions,
): IntakeRecord[] {
  const source = {
    line: number,
    // For the few that are rejected; without the names in other columns.
    get text() {
      return fields.slice(0, slots.other).join(",");
    },
    placeOf: (slot: number | undefined) =>
      toPlace(sheet, number, slot === undefined ? undefined : columns[slot]),
  };
  const long = fields.findIndex((text) => text.length > maxCellLength);
  if (long < 0) return readRow(source, fields, layout, options);
  const place = source.placeOf(long);
  return [
    toReject({ line: number, text: fields[long] ?? "", placeOf: () => place }, "longer than a cell can be"),
  ];
}

/** `Kunden!C7`, as formulas name a cell, or `Kunden!7` for a row. */
function toPlace({ name }: Sheet, row: number, column: number | undefined): string {
  const shown = toExcerpt(name);
  const quoted = /^[\p{L}\p{N}_]+$/u.test(shown) ? shown : `'${shown.replaceAll("'", "''")}'`;
  return `${quoted}!${column === undefined ? "" : toLetters(column)}${row}`;
}
