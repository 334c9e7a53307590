/** How often one version of a chat's picture was asked for, since the start or the last clearing of the log. */
export interface PictureCount {
  /** Empty where no answer named this path since the start or the last reset. */
  readonly chatId: string;
  /** The path without the query. */
  readonly version: string;
  readonly requests: number;
  /** Those that were answered with the whole picture, followed redirects included. */
  readonly served: number;
}

const maxVersions = 1_000_000;

/** Whose picture lies at which path, and how often it was asked for. Beyond a million paths the first is forgotten. */
export class PictureBook {
  readonly #counts = new Map<string, PictureCount>();

  /** An answer names the path of a chat's picture. */
  name(version: string, chatId: string): void {
    if (this.#counts.get(version)?.chatId !== chatId) this.#set({ ...this.#get(version), chatId });
  }

  findChatId(version: string): string {
    return this.#counts.get(version)?.chatId ?? "";
  }

  /** Counts a request and returns its number for this version, from 1. */
  countRequest(version: string): number {
    const count = this.#get(version);
    this.#set({ ...count, requests: count.requests + 1 });
    return count.requests + 1;
  }

  countServed(version: string): void {
    const count = this.#get(version);
    this.#set({ ...count, served: count.served + 1 });
  }

  /** The versions that were asked for. */
  read(filter: { readonly chatId?: string; readonly version?: string } = {}): PictureCount[] {
    return [...this.#counts.values()].filter(
      ({ chatId, version, requests }) =>
        requests > 0 && (filter.chatId ?? chatId) === chatId && (filter.version ?? version) === version,
    );
  }

  /** Starts the counts anew; whose the pictures are is kept. */
  clearCounts(): void {
    for (const count of this.#counts.values()) this.#set({ ...count, requests: 0, served: 0 });
  }

  #get(version: string): PictureCount {
    return this.#counts.get(version) ?? { chatId: "", version, requests: 0, served: 0 };
  }

  #set(count: PictureCount): void {
    this.#counts.set(count.version, count);
    if (this.#counts.size <= maxVersions) return;
    const first = this.#counts.keys().next();
    if (first.done !== true) this.#counts.delete(first.value);
  }
}
