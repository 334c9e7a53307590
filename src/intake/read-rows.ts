import type { RowBlock } from "../domain/row-block.ts";
import { inTurns } from "../lib/in-turns.ts";
import { chooseColumns, noteLayout, type TableLayout } from "./tables/choose-columns.ts";
import type { IntakeRecord } from "./records/intake-record.ts";
import type { ReaderOptions } from "./records/line-reader.ts";
import { type ContactColumns, toReaderOptions } from "./reader-options.ts";
import { readRow } from "./tables/read-row.ts";

/**
 * Reads contacts from the rows of a query's result as if they were a CSV file. The result's names are the header, and a null is
 * an empty cell. A row's number, from 1, takes the place of the line. Yields chunks as the blocks come.
 * @throws UserError where no column can be told to be that of the contact
 */
export function readRows(
  blocks: AsyncIterable<RowBlock>,
  columns: ContactColumns,
): AsyncIterable<readonly IntakeRecord[]> {
  return readBlocks(blocks, toReaderOptions(columns, "row"));
}

async function* readBlocks(
  blocks: AsyncIterable<RowBlock>,
  options: ReaderOptions,
): AsyncGenerator<IntakeRecord[]> {
  let layout: TableLayout | undefined;
  let before = 0;
  for await (const { columns, rows } of blocks) {
    const chosen = (layout ??= choose(columns, options));
    for await (const { from, items } of inTurns(rows)) {
      const first = before + from + 1;
      yield items.flatMap((row, index) => toRecords(row, first + index, chosen, options));
    }
    before += rows.length;
  }
}

function choose(columns: readonly string[], options: ReaderOptions): TableLayout {
  const layout = chooseColumns(columns, options);
  options.reading.format = "rows";
  noteLayout(columns, layout, options.reading);
  return layout;
}

function toRecords(
  row: readonly (string | null)[],
  line: number,
  layout: TableLayout,
  options: ReaderOptions,
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
