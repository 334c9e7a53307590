import { errors } from "undici";
import { WheelEntry } from "../../lib/timer-wheel.ts";
import { toNetworkErrorCode } from "../../outbound/network-error-code.ts";
import type { ReadReply } from "./reply-reader.ts";

/** One HTTP request. What stands in it needs no escapes. */
export interface ExchangeRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** JSON. */
  readonly body: string | undefined;
}

/** A reply whose body nothing was made of yet. */
export interface RawReply {
  readonly status: number;
  /** The one header that is looked at. */
  readonly headers: { readonly "retry-after"?: string | readonly string[] | undefined };
  readonly body: string;
}

/** How an exchange ended. */
export type ExchangeEnd =
  | { readonly kind: "replied"; readonly reply: RawReply }
  | { readonly kind: "deadline"; readonly afterMs: number }
  /** No byte of the request has left: it was not allowed to, or its signal was aborted before. */
  | { readonly kind: "not-sent" }
  /** No reply. `code` is undici's or Node's, or `ABORTED` by the caller. */
  | { readonly kind: "failed"; readonly code: string };

export interface ExchangeOptions {
  /** From now to the last byte, with the time that a new connection takes. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Asked at the moment when the request would be written to an open connection. False: no byte of it is. */
  readonly mayLeave: (() => boolean) | undefined;
}

export const notSent: ExchangeEnd = { kind: "not-sent" };
const aborted: ExchangeEnd = { kind: "failed", code: "ABORTED" };

/** One request on its way. An object with methods, for the sake of a call's price: each closure would be one more. */
export class Exchange extends WheelEntry {
  readonly request: ExchangeRequest;
  readonly signal: AbortSignal | undefined;
  readonly #timeoutMs: number;
  readonly #mayLeave: (() => boolean) | undefined;
  readonly #onEnd: (exchange: Exchange, end: ExchangeEnd) => void;
  /** Undefined until the request leaves. */
  #hangUp: (() => void) | undefined;
  #isOver = false;

  constructor(
    request: ExchangeRequest,
    options: ExchangeOptions,
    onEnd: (exchange: Exchange, end: ExchangeEnd) => void,
  ) {
    super();
    this.request = request;
    this.signal = options.signal;
    this.#timeoutMs = options.timeoutMs;
    this.#mayLeave = options.mayLeave;
    this.#onEnd = onEnd;
  }

  /** What is over while it waits for a connection needs none. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The caller hangs up. */
  stop(): void {
    this.#giveUp(this.#hangUp ? aborted : notSent);
  }

  override onDue(): void {
    this.#giveUp({ kind: "deadline", afterMs: this.#timeoutMs });
  }

  /** Asked when the next thing to happen is that the request is written. `hangUp` closes the connection. */
  leaves(hangUp: () => void): boolean {
    if (this.#isOver) return false;
    if (this.#mayLeave?.() === false) {
      this.#end(notSent);
      return false;
    }
    this.#hangUp = hangUp;
    return true;
  }

  reply({ head: { status, retryAfter }, body }: ReadReply): void {
    this.#end({ kind: "replied", reply: { status, headers: { "retry-after": retryAfter }, body } });
  }

  /** There will be no reply, or none that is whole. @param status of a reply whose body is too large */
  fail(error: unknown, status?: number): void {
    if (status !== undefined && error instanceof errors.ResponseExceededMaxSizeError) {
      // What the status says without a body holds all the same.
      const reply = { status, headers: {}, body: "body over the size limit" };
      this.#end({ kind: "replied", reply });
    } else this.#end({ kind: "failed", code: toNetworkErrorCode(error) });
  }

  #giveUp(end: ExchangeEnd): void {
    this.#end(end);
    this.#hangUp?.();
  }

  #end(end: ExchangeEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd(this, end);
  }
}
