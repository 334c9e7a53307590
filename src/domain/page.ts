/** One page of a listing. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Where the next page begins; undefined: this was the last one. A page may be short, or empty, and not be the last. */
  readonly next: string | undefined;
}

export interface PageRequest {
  /** As the page before gave it; undefined: from the beginning. */
  readonly after: string | undefined;
  readonly limit: number;
}
