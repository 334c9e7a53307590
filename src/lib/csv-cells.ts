/** What spreadsheets start a formula with, also in full width: Apple Numbers folds it. */
const starters = /[=+\-@＝＋－＠]/u;
/**
 * Where a spreadsheet may begin a new cell inside of a cell of ours. A spreadsheet that parts at another sign than the comma
 * sees no quotes. Our second cell begins in the middle of its first.
 */
const separators = /[;|\t\r\n\v\f\u0085\u2028\u2029]/u;
/** What a spreadsheet may drop before it looks for a formula. */
const dropped = /["\p{Z}\p{Cc}\p{Cf}]/u;

/**
 * Text that no spreadsheet runs as a formula, wherever it parts cells: a `'` stands before each start of one. All other text
 * comes back as it is. Takes time linear in the text.
 */
export function disarmFormulas(text: string): string {
  if (!separators.test(text) && !dropped.test(text.charAt(0))) {
    return starters.test(text.charAt(0)) ? `'${text}` : text;
  }
  let safe = "";
  let mayStart = true;
  for (const sign of text) {
    if (mayStart && starters.test(sign)) safe += "'";
    mayStart = separators.test(sign) || (mayStart && dropped.test(sign));
    safe += sign;
  }
  return safe;
}

/** For csv-stringify: text in quotes, which numbers need not, and without formulas. A header is ours, and stays bare. */
export const csvCells = {
  quoted_string: true,
  cast: {
    string: (text: string, { header }: { readonly header: boolean }) =>
      header ? { value: text, quoted_string: false } : disarmFormulas(text),
    // In place of `1` and nothing.
    boolean: String,
  },
};
