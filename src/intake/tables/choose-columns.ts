import { toExcerpt } from "../../domain/chat-id.ts";
import type { Reading } from "../../domain/requests/reading.ts";
import { UserError } from "../../lib/errors.ts";
import { type ColumnKind, foldName, knownNames, rankRefName, readIdName } from "../records/column-names.ts";

/** No contact has more numbers. A header of ten thousand would cost each row, however short, ten thousand looks. */
const maxIdColumns = 50;
const kinds: readonly ColumnKind[] = ["chat-id", "phone", "number"];

export interface TableLayout {
  /** The first record names the columns and is no contact. */
  readonly header: boolean;
  /**
   * Where the chat ids or phones may be: the first group that has anything in a row is the row's, all of it. Best first, and
   * bounded, since each row is looked through for them.
   */
  readonly idColumns: readonly (readonly number[])[];
  readonly refColumn: number | undefined;
}

export interface WantedColumns {
  readonly column?: string | undefined;
  readonly refColumn?: string | undefined;
}

/**
 * Decides from the first record which columns to read. `column` and `refColumn` are names, or numbers
 * from 1. Throws UserError with the columns found where there is no saying.
 */
export function chooseColumns(fields: readonly string[], wanted: WantedColumns): TableLayout {
  if (wanted.column !== undefined) {
    const refByUser = findRefByUser(fields, wanted);
    const index = findColumn(fields, wanted.column, "--column");
    const header = !looksLikeId(fields[index]);
    return {
      header,
      idColumns: [[index]],
      refColumn: refByUser ?? (header ? rankRefs(fields)[0] : undefined),
    };
  }
  const byHeader = findHeader(fields, wanted);
  if (byHeader !== undefined) return byHeader;
  if (looksLikeId(fields[0])) {
    return { header: false, idColumns: [[0]], refColumn: findRefByUser(fields, wanted) };
  }
  throw new UserError(
    "no-contact-column",
    `no column is called ${knownNames}; there is ${listColumns(fields)}: say which one with --column NAME`,
  );
}

/** The layout that a record names as a header by known names; undefined: it is none. @throws UserError for `refColumn` */
export function findHeader(fields: readonly string[], wanted: WantedColumns): TableLayout | undefined {
  const idColumns = groupIdColumns(fields);
  if (idColumns.length === 0) return undefined;
  return { header: true, idColumns, refColumn: findRefByUser(fields, wanted) ?? rankRefs(fields)[0] };
}

/** Notes the columns for the summary: by their names, or by their numbers where there is no header. */
export function noteLayout(
  fields: readonly string[],
  { header, idColumns, refColumn }: TableLayout,
  reading: Reading,
): void {
  const toName = (index: number) => (header ? toExcerpt(fields[index] ?? "") : `column ${index + 1}`);
  reading.columns.push(...idColumns.flat().map(toName));
  if (refColumn !== undefined) reading.refColumn = toName(refColumn);
}

function groupIdColumns(fields: readonly string[]): number[][] {
  const named = fields
    .flatMap((field, index) => {
      const name = readIdName(field);
      return name === undefined ? [] : [{ ...name, index }];
    })
    .sort((a, b) => a.rank - b.rank);
  return kinds
    .map((kind) =>
      named
        .filter((name) => name.kind === kind)
        .slice(0, maxIdColumns)
        .map(({ index }) => index),
    )
    .filter((group) => group.length > 0);
}

function rankRefs(fields: readonly string[]): number[] {
  return fields
    .flatMap((name, index) => {
      const rank = rankRefName(name);
      return rank === undefined ? [] : [{ index, rank }];
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ index }) => index);
}

function findRefByUser(fields: readonly string[], { refColumn }: WantedColumns): number | undefined {
  return refColumn === undefined ? undefined : findColumn(fields, refColumn, "--ref-column");
}

function findColumn(fields: readonly string[], wanted: string, option: string): number {
  const exact = fields.findIndex((name) => name.trim() === wanted.trim());
  if (exact >= 0) return exact;
  const folded = foldName(wanted);
  const similar = folded === "" ? -1 : fields.findIndex((name) => foldName(name) === folded);
  if (similar >= 0) return similar;
  const position = /^\d{1,5}$/.test(wanted.trim()) ? Number(wanted) : 0;
  if (position >= 1 && position <= fields.length) return position - 1;
  throw new UserError(
    "column-not-found",
    `no column "${toExcerpt(wanted)}" for ${option}; there is ${listColumns(fields)}`,
  );
}

/** Data rather than a name: a chat id, or digits with no more than punctuation around them. */
export function looksLikeId(field: string | undefined): boolean {
  if (field === undefined) return false;
  if (/\d@/.test(field) || /^\W*\d+[.,]\d+e\+?\d+\W*$/i.test(field)) return true;
  const digits = field.match(/\p{Nd}/gu)?.length ?? 0;
  return digits >= 5 && !/\p{L}/u.test(field.replace(/^\W*(?:tel|whatsapp|https?):\S*/i, ""));
}

/** The names of columns, for messages: the first of them, cut. */
export function listColumns(fields: readonly string[]): string {
  const names = fields.slice(0, 30).map((name) => `"${toExcerpt(name)}"`);
  return names.join(", ") + (fields.length > names.length ? ", …" : "");
}
