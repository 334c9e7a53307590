/** One request of a picture as it arrived and was answered. */
export interface LoggedPicture {
  /** Counts up from 0 in the order of arrival, and goes on after the log is cleared. */
  readonly index: number;
  /** When it arrived, in ms since the epoch with fractions, from a monotonic clock. */
  readonly at: number;
  /** The path without the query: which picture of which chat. */
  readonly version: string;
  /** Whose picture it is; empty where no answer named this path since the start or the last reset. */
  readonly chatId: string;
  /** The HTTP status; 499 where the client hung up first; 0 while pending, and where none was sent. */
  readonly status: number;
  /** A named outcome, or one of the log's own: `pending`, `redirect-followed`, `client-closed`, `raw` (a script's answer). */
  readonly outcome: string;
  /** How many bytes of the body were given to the connection. */
  readonly bytes: number;
  readonly tookMs: number;
}

/** Which requests to read. All given conditions must hold. */
export interface PictureLogFilter {
  readonly chatId?: string;
  readonly version?: string;
  readonly outcome?: string;
  readonly status?: number;
  /** Only requests with this index or a later one. */
  readonly fromIndex?: number;
  /** The first so many. */
  readonly limit?: number;
}

/** The last requests of pictures, `capacity` of them or up to twice as many, in the order of arrival. */
export class PictureLog {
  readonly #capacity: number;
  #pictures: LoggedPicture[] = [];
  #next = 0;
  #forgotten = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** How many requests since the log was cleared are no longer in it. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Writes down an arrival and returns its index. */
  open(at: number, version: string, chatId: string): number {
    const index = this.#next;
    this.#next += 1;
    this.#pictures.push({ index, at, version, chatId, status: 0, outcome: "pending", bytes: 0, tookMs: 0 });
    if (this.#pictures.length > 2 * this.#capacity) {
      this.#pictures = this.#pictures.slice(this.#capacity);
      this.#forgotten += this.#capacity;
    }
    return index;
  }

  /** Writes down how a request ended. May be told again; one that is no longer in the log is ignored. */
  finish(index: number, end: Pick<LoggedPicture, "status" | "outcome" | "bytes" | "tookMs">): void {
    const slot = index - (this.#next - this.#pictures.length);
    const known = this.#pictures[slot];
    if (known !== undefined) this.#pictures[slot] = { ...known, ...end };
  }

  read(filter: PictureLogFilter = {}): LoggedPicture[] {
    const { fromIndex = 0, limit = Infinity } = filter;
    const found: LoggedPicture[] = [];
    for (const picture of this.#pictures) {
      if (found.length >= limit) break;
      if (picture.index >= fromIndex && matches(picture, filter)) found.push(picture);
    }
    return found;
  }

  clear(): void {
    this.#pictures = [];
    this.#forgotten = 0;
  }
}

function matches(picture: LoggedPicture, filter: PictureLogFilter): boolean {
  return (["chatId", "version", "outcome", "status"] as const).every(
    (key) => filter[key] === undefined || filter[key] === picture[key],
  );
}
