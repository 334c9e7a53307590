import type { Method } from "./simulator-options.ts";

/** One call as it arrived and was answered. */
export interface LoggedCall {
  /** Counts up from 0 in the order of arrival, and goes on after the log is cleared. */
  readonly index: number;
  /** When the call arrived, in ms since the epoch with fractions, from a monotonic clock. */
  readonly at: number;
  readonly instanceId: string;
  readonly method: Method;
  /** Empty where the body was not read or held none. */
  readonly chatId: string;
  /** The HTTP status; 499 where the client hung up; 0 while pending, and where none was sent. */
  readonly status: number;
  /**
   * A named outcome, or a name of the log's. Those are `pending`, `limited` (refused by the limiter), `client-closed`,
   * `malformed-body`, `state`, `contacts`, `raw` (a script's own answer).
   */
  readonly outcome: string;
  readonly tookMs: number;
}

/** Which calls to read. All given conditions must hold. */
export interface LogFilter {
  readonly instanceId?: string;
  readonly chatId?: string;
  readonly method?: Method;
  readonly outcome?: string;
  readonly status?: number;
  /** Only calls with this index or a later one. */
  readonly fromIndex?: number;
  /** The first so many. */
  readonly limit?: number;
}

const initialCapacity = 1024;

/** Gives each text a small number, so that a column of texts is a column of numbers. */
class Dictionary {
  readonly #codes = new Map<string, number>();
  readonly #texts: string[] = [];

  encode(text: string): number {
    const known = this.#codes.get(text);
    if (known !== undefined) return known;
    this.#codes.set(text, this.#texts.length);
    return this.#texts.push(text) - 1;
  }

  decode(code: number): string {
    return this.#texts[code] ?? "";
  }
}

/** Each number of a call has a typed array: a million calls take about 27 MB and their chat ids. */
class Columns {
  readonly at: Float64Array;
  readonly tookMs: Float32Array;
  readonly status: Uint16Array;
  readonly instance: Uint32Array;
  readonly method: Uint8Array;
  readonly outcome: Uint16Array;
  readonly chatId: string[];

  constructor(size: number, from?: Columns) {
    this.at = new Float64Array(size);
    this.tookMs = new Float32Array(size);
    this.status = new Uint16Array(size);
    this.instance = new Uint32Array(size);
    this.method = new Uint8Array(size);
    this.outcome = new Uint16Array(size);
    this.chatId = from?.chatId ?? [];
    if (from === undefined) return;
    this.at.set(from.at);
    this.tookMs.set(from.tookMs);
    this.status.set(from.status);
    this.instance.set(from.instance);
    this.method.set(from.method);
    this.outcome.set(from.outcome);
  }
}

/** The last `capacity` calls, in the order of arrival. */
export class CallLog {
  readonly #capacity: number;
  readonly #texts = new Dictionary();
  #size: number;
  #columns: Columns;
  /** The index of the first call since the log was cleared: it lies in slot 0. */
  #base = 0;
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#size = Math.min(initialCapacity, capacity);
    this.#columns = new Columns(this.#size);
  }

  /** How many calls since the log was cleared are no longer in it. */
  get forgotten(): number {
    return this.#oldest() - this.#base;
  }

  /** Writes down an arrival and returns its index. */
  open(at: number, instanceId: string, method: Method): number {
    if (this.#next - this.#base === this.#size && this.#size < this.#capacity) this.#grow();
    const index = this.#next;
    this.#next += 1;
    const slot = this.#toSlot(index);
    this.#columns.at[slot] = at;
    this.#columns.instance[slot] = this.#texts.encode(instanceId);
    this.#columns.method[slot] = this.#texts.encode(method);
    this.#columns.chatId[slot] = "";
    this.finish(index, 0, "pending", 0);
    return index;
  }

  setChatId(index: number, chatId: string): void {
    if (this.#has(index)) this.#columns.chatId[this.#toSlot(index)] = chatId;
  }

  /** Writes down how a call ended. May be told again; a call that is no longer in the log is ignored. */
  finish(index: number, status: number, outcome: string, tookMs: number): void {
    if (!this.#has(index)) return;
    const slot = this.#toSlot(index);
    this.#columns.status[slot] = status;
    this.#columns.outcome[slot] = this.#texts.encode(outcome);
    this.#columns.tookMs[slot] = tookMs;
  }

  read(filter: LogFilter = {}): LoggedCall[] {
    const calls: LoggedCall[] = [];
    const limit = filter.limit ?? Infinity;
    for (let index = Math.max(this.#oldest(), filter.fromIndex ?? 0); index < this.#next; index += 1) {
      if (calls.length >= limit) break;
      const call = this.#get(index);
      if (matches(call, filter)) calls.push(call);
    }
    return calls;
  }

  clear(): void {
    this.#base = this.#next;
    this.#columns.chatId.length = 0;
  }

  #oldest(): number {
    return Math.max(this.#base, this.#next - this.#size);
  }

  #has(index: number): boolean {
    return index >= this.#oldest() && index < this.#next;
  }

  #toSlot(index: number): number {
    return (index - this.#base) % this.#size;
  }

  /** Only while the ring has not gone round, so every call keeps its slot. */
  #grow(): void {
    this.#size = Math.min(this.#size * 2, this.#capacity);
    this.#columns = new Columns(this.#size, this.#columns);
  }

  #get(index: number): LoggedCall {
    const slot = this.#toSlot(index);
    const columns = this.#columns;
    return {
      index,
      at: columns.at[slot] ?? 0,
      instanceId: this.#texts.decode(columns.instance[slot] ?? 0),
      method: this.#texts.decode(columns.method[slot] ?? 0) as Method,
      chatId: columns.chatId[slot] ?? "",
      status: columns.status[slot] ?? 0,
      outcome: this.#texts.decode(columns.outcome[slot] ?? 0),
      tookMs: columns.tookMs[slot] ?? 0,
    };
  }
}

function matches(call: LoggedCall, filter: LogFilter): boolean {
  const wanted = [
    [filter.instanceId, call.instanceId],
    [filter.chatId, call.chatId],
    [filter.method, call.method],
    [filter.outcome, call.outcome],
    [filter.status, call.status],
  ] as const;
  return wanted.every(([asked, actual]) => asked === undefined || asked === actual);
}
