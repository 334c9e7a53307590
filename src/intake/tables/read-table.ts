import { parse } from "csv-parse/sync";
import { UserError } from "../../lib/errors.ts";
import { chooseColumns, noteLayout, type TableLayout } from "./choose-columns.ts";
import { type IntakeRecord, toReject } from "../records/intake-record.ts";
import { brokenQuotes, createRecordJoiner, type RawRecord } from "./join-records.ts";
import type { LineReader, ReaderOptions } from "../records/line-reader.ts";
import { readRow } from "./read-row.ts";

/**
 * Reads CSV, with or without a header, and plain lines, which are CSV of one column.
 *
 * csv-parse sees only the records with quotes in them, a block at a time. As a stream it has no way back from a quote that
 * never closes. One call per record would take as long as fifteen records.
 */
export function createTableReader(delimiter: string, options: ReaderOptions): LineReader {
  const joiner = createRecordJoiner(delimiter);
  let layout: TableLayout | undefined;

  function toRecords(raw: readonly RawRecord[]): IntakeRecord[] {
    const rows = parseFields(raw, delimiter);
    return raw.flatMap((record, index) => {
      const fields = rows[index];
      if (layout === undefined) {
        layout = chooseLayout(record, fields, options);
        if (layout.header) return [];
      }
      if (fields === undefined) return [toReject(record, record.fault ?? brokenQuotes)];
      return readRow(record, fields, layout, options);
    });
  }

  return {
    read({ firstLine, lines }) {
      const raw: RawRecord[] = [];
      lines.forEach((text, index) => joiner.add(text, firstLine + index, raw));
      return toRecords(raw);
    },
    end() {
      const raw: RawRecord[] = [];
      joiner.end(raw);
      return toRecords(raw);
    },
  };
}

function chooseLayout(record: RawRecord, fields: string[] | undefined, options: ReaderOptions): TableLayout {
  if (fields !== undefined) {
    const layout = chooseColumns(fields, options);
    options.reading.format = "CSV";
    noteLayout(fields, layout, options.reading);
    return layout;
  }
  const fault = record.fault ?? brokenQuotes;
  throw new UserError("broken-header", `line ${record.line} should name the columns, but: ${fault}`);
}

/** The fields of each record; undefined where it has none. */
function parseFields(raw: readonly RawRecord[], delimiter: string): (string[] | undefined)[] {
  const quoted = raw.filter((record) => !record.plain).map((record) => record.text);
  const rows = quoted.length === 0 ? [] : parseQuoted(quoted, delimiter);
  let next = 0;
  return raw.map((record) => {
    if (!record.plain) return rows[next++];
    return record.fault === undefined ? record.text.split(delimiter) : undefined;
  });
}

function parseQuoted(texts: readonly string[], delimiter: string): (string[] | undefined)[] {
  try {
    const rows: string[][] = parse(texts.join("\n"), {
      delimiter,
      record_delimiter: "\n",
      relax_column_count: true,
      // Quotes within a field that does not start with one: ="79001234567", 5" pipe.
      relax_quotes: true,
      trim: true,
    });
    if (rows.length === texts.length) return rows;
  } catch {
    // The records are parsed one by one then, to find the broken ones.
  }
  return texts.length === 1 ? [undefined] : texts.flatMap((text) => parseQuoted([text], delimiter));
}
