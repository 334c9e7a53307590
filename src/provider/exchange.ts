import { type Dispatcher, errors, type Pool } from "undici";
import { createByteCollector } from "../outbound/byte-collector.ts";
import { toNetworkErrorCode } from "../outbound/network-error-code.ts";
import type { ReplyHeaders } from "./classify.ts";
import type { RawReply } from "./judge-reply.ts";

/** One HTTP request. */
export interface ExchangeRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export interface ExchangeOptions {
  /** From now to the last byte, with the time that a new connection takes. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Told when the request is written to a connection, which may have to be opened first. */
  readonly onSent?: (() => void) | undefined;
}

/** How an exchange ended. */
export type ExchangeEnd =
  | { readonly kind: "replied"; readonly reply: RawReply }
  | { readonly kind: "deadline"; readonly afterMs: number }
  /** No reply. `code` is undici's or Node's, or `ABORTED` by the caller. */
  | { readonly kind: "failed"; readonly code: string };

const aborted: ExchangeEnd = { kind: "failed", code: "ABORTED" };

/**
 * Sends one request and collects its reply; never rejects. By undici's `dispatch`, which tells when the request is really
 * sent. Redirects are not followed: they would take the token along.
 */
export function exchange(
  pool: Pool,
  request: ExchangeRequest,
  { timeoutMs, signal, onSent }: ExchangeOptions,
): Promise<ExchangeEnd> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve(aborted);
    let controller: Dispatcher.DispatchController | undefined;
    let isOver = false;
    let status = 0;
    let headers: ReplyHeaders = {};
    const body = createByteCollector();

    const end = (by: ExchangeEnd): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      resolve(by);
    };
    /** What waits for its connection has no controller yet: it is stopped when it gets one. */
    const giveUp = (by: ExchangeEnd): void => {
      end(by);
      controller?.abort(new Error("given up"));
    };
    const onAbort = (): void => giveUp(aborted);
    const timer = setTimeout(giveUp, timeoutMs, { kind: "deadline", afterMs: timeoutMs });
    signal?.addEventListener("abort", onAbort, { once: true });
    const reply = (text: string): void => end({ kind: "replied", reply: { status, headers, body: text } });

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started;
        if (isOver) started.abort(new Error("given up"));
        else onSent?.();
      },
      onResponseStart(_controller, statusCode, responseHeaders) {
        status = statusCode;
        headers = responseHeaders;
      },
      onResponseData(_controller, chunk) {
        body.add(chunk);
      },
      onResponseEnd: () => reply(new TextDecoder().decode(body.take())),
      onResponseError(_controller, error) {
        // undici drops the connection at the limit. What the status says without a body holds all the same.
        if (status > 0 && error instanceof errors.ResponseExceededMaxSizeError)
          reply("body over the size limit");
        else end({ kind: "failed", code: toNetworkErrorCode(error) });
      },
    };
    const { method, path, headers: requestHeaders } = request;
    pool.dispatch({ method, path, headers: { ...requestHeaders }, body: request.body ?? null }, handler);
  });
}
