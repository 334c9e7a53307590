/** Consecutive rows of a query's result. Every value is text, as the database writes it. */
export interface RowBlock {
  /** In the query's order; not always unique. */
  readonly columns: readonly string[];
  readonly rows: ReadonlyArray<readonly (string | null)[]>;
}
