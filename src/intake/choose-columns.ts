import { toExcerpt } from "../domain/chat-id.ts";
import { UserError } from "../lib/errors.ts";
import { foldName, knownNames, rankIdName, rankRefName } from "./column-names.ts";

/** No contact has more numbers. A header of ten thousand would cost each row, however short, ten thousand looks. */
const maxIdColumns = 20;

export interface TableLayout {
  /** The first record names the columns and is no contact. */
  readonly header: boolean;
  /** Where the chat id or phone may be, best first; a few, since each row is looked through for them. */
  readonly idColumns: readonly number[];
  readonly refColumn: number | undefined;
}

/**
 * Decides from the first record which columns to read. `column` and `refColumn` are names, or numbers
 * from 1. Throws UserError with the columns found where there is no saying.
 */
export function chooseColumns(
  fields: readonly string[],
  { column, refColumn }: { readonly column?: string; readonly refColumn?: string },
): TableLayout {
  const refByUser = refColumn === undefined ? undefined : findColumn(fields, refColumn, "--ref-column");
  if (column !== undefined) {
    const index = findColumn(fields, column, "--column");
    const header = !looksLikeId(fields[index]);
    return { header, idColumns: [index], refColumn: refByUser ?? (header ? rankRefs(fields)[0] : undefined) };
  }
  const idColumns = rankColumns(fields, rankIdName);
  if (idColumns.length > 0) {
    return {
      header: true,
      idColumns: idColumns.slice(0, maxIdColumns),
      refColumn: refByUser ?? rankRefs(fields)[0],
    };
  }
  if (looksLikeId(fields[0])) return { header: false, idColumns: [0], refColumn: refByUser };
  throw new UserError(
    "no-contact-column",
    `no column is called ${knownNames}; there is ${listColumns(fields)}: say which one with --column NAME`,
  );
}

function rankRefs(fields: readonly string[]): number[] {
  return rankColumns(fields, rankRefName);
}

function rankColumns(fields: readonly string[], rankName: (folded: string) => number | undefined): number[] {
  return fields
    .flatMap((name, index) => {
      const rank = rankName(foldName(name));
      return rank === undefined ? [] : [{ index, rank }];
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ index }) => index);
}

function findColumn(fields: readonly string[], wanted: string, option: string): number {
  const exact = fields.findIndex((name) => name.trim() === wanted.trim());
  if (exact >= 0) return exact;
  const folded = foldName(wanted);
  const similar = folded === "" ? -1 : fields.findIndex((name) => foldName(name) === folded);
  if (similar >= 0) return similar;
  const position = /^\d{1,4}$/.test(wanted.trim()) ? Number(wanted) : 0;
  if (position >= 1 && position <= fields.length) return position - 1;
  throw new UserError(
    "column-not-found",
    `no column "${toExcerpt(wanted)}" for ${option}; there is ${listColumns(fields)}`,
  );
}

/** Data rather than a name: a chat id, or digits with no more than punctuation around them. */
function looksLikeId(field: string | undefined): boolean {
  if (field === undefined) return false;
  if (/\d@/.test(field) || /^\W*\d+[.,]\d+e\+?\d+\W*$/i.test(field)) return true;
  const digits = field.match(/\p{Nd}/gu)?.length ?? 0;
  return digits >= 5 && !/\p{L}/u.test(field.replace(/^\W*(?:tel|whatsapp|https?):\S*/i, ""));
}

function listColumns(fields: readonly string[]): string {
  const names = fields.slice(0, 30).map((name) => `"${toExcerpt(name)}"`);
  return names.join(", ") + (fields.length > names.length ? ", …" : "");
}
