import type { Problem } from "../../http/answers/problem.ts";

/** An answer that says why not, or none at all. */
export class CallError extends Error {
  override readonly name = "CallError";
  /** The HTTP status; 0: there was no answer. */
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }

  /** Trying again later may help. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 503 || this.status === 429;
  }
}

/** The page is `…/console/`: what it asks lies beside that, whatever comes before. */
const root = new URL("..", new URL(location.pathname, location.href));

/** The address of something of the API; `path` begins without a slash. */
export function toUrl(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const url = new URL(path, root);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return url.href;
}

/** The headers of each write: no other page can send them. */
export const writeHeaders = { "x-avatars-console": "1" } as const;

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

type Method = "GET" | "POST" | "PATCH" | "DELETE";

/**
 * Asks the API. Undefined: the answer has no body.
 * @throws CallError
 */
export async function call<Answer>(
  method: Method,
  path: string,
  { query, body, headers, signal }: CallOptions = {},
): Promise<Answer> {
  const response = await send(method, toUrl(path, query), {
    headers: {
      accept: "application/json",
      ...(method !== "GET" && writeHeaders),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
  if (response.status === 204) return undefined as Answer;
  return (await response.json()) as Answer;
}

/**
 * Sends a request with the session.
 * @throws CallError where the answer is none, or says why not
 */
export async function send(method: Method, url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { method, credentials: "same-origin", ...init });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new CallError(0, "no-answer", "");
  }
  if (response.ok) return response;
  const error = await toCallError(response.status, response.text());
  if (error.status === 401) for (const tell of endListeners) tell();
  throw error;
}

/** The error that an answer tells of. */
export async function toCallError(status: number, text: Promise<string> | string): Promise<CallError> {
  try {
    const problem = JSON.parse(await text) as Partial<Problem>;
    return new CallError(status, problem.code ?? "unknown", problem.detail ?? "");
  } catch {
    return new CallError(status, "unknown", "");
  }
}

const endListeners = new Set<() => void>();

/** Calls back when an answer says that there is no session. Returns what ends that. */
export function onSessionEnd(tell: () => void): () => void {
  endListeners.add(tell);
  return () => endListeners.delete(tell);
}
