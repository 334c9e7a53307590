import type { Dispatcher } from "undici";
import { createBodyCollector } from "./body-collector.ts";

/** Header names in lower case, as undici gives them. */
export type ResponseHeaders = Readonly<Partial<Record<string, string | readonly string[]>>>;

export interface ResponseHead {
  readonly status: number;
  readonly headers: ResponseHeaders;
}

export interface DownloadOptions {
  /** From now to the last byte, with the time that a new connection takes. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** How many bytes of this answer's body are read; more break it off. 0: the head is all that matters. */
  readonly bodyLimit: (head: ResponseHead) => number;
  /** Told of each piece of a body as it comes, in bytes. */
  readonly onBytes: ((count: number) => void) | undefined;
  /** A buffer for a body that is larger than usual. Undefined: there is none now. */
  readonly enlarge: () => Buffer | undefined;
}

/** How a download ended. */
export type DownloadEnd =
  | { readonly kind: "whole" | "cut"; readonly head: ResponseHead; readonly body: Buffer }
  | { readonly kind: "deadline" | "aborted" }
  /** The body is larger than usual, and there was no buffer for it. */
  | { readonly kind: "no-room" }
  | { readonly kind: "broken"; readonly error: unknown };

/**
 * Gets a URL once; never rejects. Redirects are not followed. When this settles, the body has been read to its end, or its
 * connection is destroyed, or will be at the latest when it has opened.
 */
export function download(
  dispatcher: Dispatcher,
  { origin, pathname, search }: URL,
  options: DownloadOptions,
): Promise<DownloadEnd> {
  const { signal, timeoutMs } = options;
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve({ kind: "aborted" });
    const state: DownloadState = { controller: undefined, end: undefined };
    const settle = (end: DownloadEnd): void => {
      if (state.end !== undefined) return;
      state.end = end;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      // What waits for its connection has no controller yet: it is stopped when it gets one.
      if (end.kind !== "whole") state.controller?.abort(new Error("given up"));
      resolve(end);
    };
    const onAbort = (): void => settle({ kind: "aborted" });
    const timer = setTimeout(settle, timeoutMs, { kind: "deadline" });
    signal?.addEventListener("abort", onAbort, { once: true });
    const request = { origin, path: `${pathname}${search}`, method: "GET", headers: requestHeaders } as const;
    try {
      dispatcher.dispatch(request, createHandler(state, settle, options));
    } catch (error) {
      settle({ kind: "broken", error });
    }
  });
}

/** No more than a server needs; nothing of ours, nor of the contact. */
const requestHeaders = {
  accept: "image/jpeg, image/png, image/webp",
  "accept-encoding": "identity",
  "user-agent": "contact-avatars",
};

interface DownloadState {
  /** Of the request on its connection. Undefined: it waits for one. */
  controller: Dispatcher.DispatchController | undefined;
  end: DownloadEnd | undefined;
}

function createHandler(
  state: DownloadState,
  settle: (end: DownloadEnd) => void,
  { bodyLimit, onBytes, enlarge }: DownloadOptions,
): Dispatcher.DispatchHandler {
  let head: ResponseHead = { status: 0, headers: {} };
  let collector = createBodyCollector(0, enlarge);
  const finish = (kind: "whole" | "cut"): void => settle({ kind, head, body: collector.take() });
  return {
    onRequestStart(controller) {
      state.controller = controller;
      if (state.end !== undefined) controller.abort(new Error("given up"));
    },
    onResponseStart(_controller, status, headers) {
      // Those below 200 only announce the answer.
      if (status < 200) return;
      head = { status, headers };
      const limit = bodyLimit(head);
      if (limit === 0) return finish("cut");
      collector = createBodyCollector(limit, enlarge);
      // Known to be too large for its place, it need not begin to come.
      if (!collector.expect(Number(headers["content-length"] ?? 0) || 0)) settle({ kind: "no-room" });
    },
    onResponseData(_controller, piece) {
      onBytes?.(piece.length);
      if (state.end !== undefined) return;
      const added = collector.add(piece);
      if (added === "cut") finish("cut");
      else if (added === "no-room") settle({ kind: "no-room" });
    },
    onResponseEnd: () => finish("whole"),
    onResponseError: (_controller, error) => settle({ kind: "broken", error }),
  };
}
