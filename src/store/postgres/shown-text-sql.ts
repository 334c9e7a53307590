/** Labels and external refs of older versions may have any length, where they came by SQL: 5 MB times a page is too much. */
const mostCharacters = 2_000;

/**
 * The beginning of a text column, as far as it is shown: without reading the rest.
 * @param column such as `c.external_ref`
 */
export function toShownText(column: string): string {
  return `substr(${column}, 1, ${mostCharacters})`;
}
