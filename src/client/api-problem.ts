import type { Problem, ProblemKind } from "../http/answers/problem.ts";
import { parseRetryAfter } from "../lib/retry-after.ts";

/** `no-answer`: no connection, or it broke. `timed-out`: no answer in time. `unexpected-answer`: not from the API, say a proxy's. */
export type ApiProblemCode = ProblemKind | "no-answer" | "timed-out" | "unexpected-answer";

interface ApiProblemFields {
  readonly status: number;
  // Servers to come may know more.
  readonly code: ApiProblemCode | (string & {});
  readonly detail: string;
  readonly requestId?: string | undefined;
  readonly errors?: readonly RequestFault[] | undefined;
  readonly batchId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A fault of the request, and where it is: a JSON Pointer into the body, or `query/name`, `path/name`, `header/name`. */
export type RequestFault = NonNullable<Problem["errors"]>[number];

const retryableStatuses: ReadonlySet<number> = new Set([0, 408, 429, 502, 503, 504]);

/** Why a call failed, in words of the server that never hold the API key. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  /** Of HTTP; 0: there was no answer. */
  readonly status: number;
  /** Stable, for programs. */
  readonly code: ApiProblemCode | (string & {});
  readonly detail: string;
  /** The server's logs have the request under it. */
  readonly requestId: string | undefined;
  /** Each fault of the request; empty where it was not the request. */
  readonly errors: readonly RequestFault[];
  /** The batch that a stream has left incomplete: go on with it by the same idempotency key, or with `resume`. */
  readonly batchId: string | undefined;
  /** How long the server asks to wait, ms. */
  readonly retryAfterMs: number | undefined;

  constructor({ status, code, detail, cause, ...rest }: ApiProblemFields) {
    super(
      `${detail} (${code}${status === 0 ? "" : `, HTTP ${status}`})`,
      cause === undefined ? {} : { cause },
    );
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.requestId = rest.requestId;
    this.errors = rest.errors ?? [];
    this.batchId = rest.batchId;
    this.retryAfterMs = rest.retryAfterMs;
  }

  /** Waiting and trying the same again may help. The client has done so already, where it was harmless. */
  get retryable(): boolean {
    return retryableStatuses.has(this.status) || this.code === "in-progress";
  }
}

/**
 * The problem that an answer is.
 * @param hide takes the API key out of a text
 */
export async function readProblem(
  response: Response,
  hide: (text: string) => string,
  nowMs: number,
): Promise<ApiProblem> {
  const text = hide(await response.text());
  const problem = parseProblem(text);
  // A redirect in a browser has none.
  const status = response.status || 302;
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after") ?? undefined, new Date(nowMs));
  const requestId = hide(response.headers.get("x-request-id") ?? "") || undefined;
  if (problem) {
    return new ApiProblem({ ...problem, status, requestId: requestId ?? problem.requestId, retryAfterMs });
  }
  const detail = explainForeign(response);
  return new ApiProblem({ status, code: "unexpected-answer", detail, requestId, retryAfterMs });
}

function parseProblem(
  text: string,
): Pick<ApiProblemFields, "code" | "detail" | "requestId" | "errors" | "batchId"> | undefined {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null;
    const { code, detail, requestId, errors, batchId } = value ?? {};
    if (typeof code !== "string" || typeof detail !== "string") return undefined;
    return { code, detail, requestId, errors: Array.isArray(errors) ? errors : undefined, batchId };
  } catch {
    return undefined;
  }
}

function explainForeign({ status, type }: Response): string {
  const isRedirect = type === "opaqueredirect" || (status >= 300 && status < 400);
  if (isRedirect) return "the server sends us elsewhere: give its final address as baseUrl";
  return `an answer that is not the API's, with status ${status}: is baseUrl right, and the server behind it up?`;
}
