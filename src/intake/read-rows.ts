import type { RowBlock } from "../domain/row-block.ts";
import { chooseColumns, type TableLayout } from "./choose-columns.ts";
import type { IntakeRecord } from "./intake-record.ts";
import type { LineReaderOptions } from "./line-reader.ts";
import { type ContactColumns, toReaderOptions } from "./read-contacts.ts";
import { readRow } from "./read-row.ts";

/**
 * Reads contacts from the rows of a query's result as if they were a CSV file: its names are the header, a null is an
 * empty cell, and a row's number, from 1, takes the place of the line. Yields a chunk for each block.
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
    const first = before + 1;
    before += rows.length;
    yield rows.flatMap((row, index) => {
      const fields = row.map((value) => value ?? "");
      const source = {
        line: first + index,
        // For the few that are rejected.
        get text() {
          return fields.join(",");
        },
      };
      return readRow(source, fields, chosen, options);
    });
  }
}
