/** Labels and external refs that older versions took by SQL may have any length: megabytes, times a page of them. */
const mostCharacters = 2_000;

/**
 * The beginning of a text column, as far as it is shown: without reading the rest.
 * @param column such as `c.external_ref`
 */
export function toShownText(column: string): string {
  return `substr(${column}, 1, ${mostCharacters})`;
}
