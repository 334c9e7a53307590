import type { RowBlock } from "../domain/row-block.ts";
import { inTurns } from "../lib/in-turns.ts";
import { chooseColumns, type TableLayout } from "./choose-columns.ts";
import type { IntakeRecord } from "./intake-record.ts";
import type { LineReaderOptions } from "./line-reader.ts";
import { type ContactColumns, toReaderOptions } from "./read-contacts.ts";
import { readRow } from "./read-row.ts";

/**
 * Reads contacts from the rows of a query's result as if they were a CSV file. The result's names are the header, and a null is
 * an empty cell. A row's number, from 1, takes the place of the line. Yields chunks as the blocks come.
 * @throws UserError where no column can be told to be that of the contact
 */
export function readRows(
  blocks: AsyncIterable<RowBlock>,
  columns: ContactColumns,
): AsyncIterable<readonly IntakeRecord[]> {
  return readBlocks(blocks, toReaderOptions(columns));
}

async function* readBlocks(
  blocks: AsyncIterable<RowBlock>,
  options: LineReaderOptions,
): AsyncGenerator<IntakeRecord[]> {
  let layout: TableLayout | undefined;
  let before = 0;
  for await (const { columns, rows } of blocks) {
    const chosen = (layout ??= chooseColumns(columns, options));
    for await (const { from, items } of inTurns(rows)) {
      const first = before + from + 1;
      yield items.flatMap((row, index) => toRecords(row, first + index, chosen, options));
    }
    before += rows.length;
  }
}

function toRecords(
  row: readonly (string | null)[],
  line: number,
  layout: TableLayout,
  options: LineReaderOptions,
): IntakeRecord[] {
  const fields = row.map((value) => value ?? "");
  const source = {
    line,
    // For the few that are rejected.
    get text() {
      return fields.join(",");
    },
  };
  return readRow(source, fields, layout, options);
}
