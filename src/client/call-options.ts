/** For the whole client, and for a single call. */
export interface CallOptions {
  /** Stops the call, which then fails with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** One try may take so long, to the end of its answer, ms; 30 s by default. Streams have no such limit unless it is given. */
  readonly timeoutMs?: number | undefined;
  /** A call with all its tries and the waits between them, ms; 2 min by default. Streams have no such limit unless it is given. */
  readonly totalTimeoutMs?: number | undefined;
  /** Tries after the first one; 5 by default. */
  readonly maxRetries?: number | undefined;
}

export interface ClientOptions extends CallOptions {
  /** Of the server, without `/v1`: `https://avatars.example.com`. */
  readonly baseUrl: string | URL;
  /** `avk_…`, made with `avatars apikey create --scope …`. */
  readonly apiKey: string;
  /** In the place of the global one. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** Time and chance. */
export interface Timing {
  /** A clock that only goes forward, ms. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Waits so many ms, or until the signal is aborted. Never rejects. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Of one page. */
export interface PageOptions {
  /** The `next` of the page before. */
  readonly cursor?: string | undefined;
  /** Items at most, up to 1000; 100 by default. */
  readonly limit?: number | undefined;
}
