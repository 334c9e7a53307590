import { z } from "zod";

/** The body of every error: RFC 9457, with a stable `code`. */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: "A URI reference of the kind of problem: its code, made a URN." }),
    title: z.string().meta({ description: "The kind of problem, for people." }),
    status: z.int().min(400).max(599).meta({ description: "The HTTP status." }),
    code: z.string().meta({ description: "The kind of problem, for programs. Stable." }),
    detail: z.string().meta({ description: "What is wrong here, and what to do about it." }),
    requestId: z.string().meta({ description: "The `X-Request-Id` of the answer, also in the logs." }),
    errors: z
      .array(
        z.object({
          path: z.string().meta({
            description: "Where: a JSON Pointer into the body, or `query/name`, `path/name`, `header/name`.",
          }),
          message: z.string(),
        }),
      )
      .optional()
      .meta({
        description: "The faults of the request, up to a hundred; `detail` says how many more there are.",
      }),
    batchId: z.string().optional().meta({ description: "The batch that was left incomplete." }),
  })
  .meta({ id: "Problem" });

export type Problem = z.infer<typeof problemSchema>;

export interface ApiErrorOptions {
  readonly errors?: Problem["errors"];
  readonly batchId?: string | undefined;
  /** Seconds, as the header `Retry-After`. */
  readonly retryAfterS?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** The kinds of problems, and the status of each. */
export const problemKinds = {
  "invalid-request": [400, "The request is not valid"],
  "malformed-body": [400, "The body cannot be read"],
  "invalid-cursor": [400, "The cursor is not one of ours"],
  unauthorized: [401, "An API key is needed"],
  forbidden: [403, "The API key does not allow this"],
  "not-found": [404, "There is no such thing"],
  "request-timeout": [408, "The request came too slowly"],
  "in-progress": [409, "The same request is still at work"],
  conflict: [409, "The state does not allow this"],
  gone: [410, "It is not there any more"],
  "body-too-large": [413, "The body is too large"],
  "unsupported-media-type": [415, "The body is of an unknown kind"],
  "invalid-contacts": [422, "Some contacts are not valid"],
  "unusable-input": [422, "The input cannot be used"],
  "idempotency-key-reused": [422, "The idempotency key belongs to another request"],
  "rate-limited": [429, "Too many requests"],
  internal: [500, "Something went wrong here"],
  unavailable: [503, "Not available at the moment"],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemKind = keyof typeof problemKinds;

/** A request that cannot be served, in words for its sender: never with a secret or foreign text. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly kind: ProblemKind;
  readonly status: number;
  readonly options: ApiErrorOptions;

  constructor(kind: ProblemKind, detail: string, options: ApiErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.status = problemKinds[kind][0];
    this.options = options;
  }

  /** The headers that go with it. */
  get headers(): Readonly<Record<string, string>> {
    const { retryAfterS, headers } = this.options;
    return { ...headers, ...(retryAfterS !== undefined && { "retry-after": String(retryAfterS) }) };
  }

  toProblem(requestId: string): Problem {
    const [status, title] = problemKinds[this.kind];
    const { errors = [], batchId } = this.options;
    return {
      type: `urn:contact-avatars:problem:${this.kind}`,
      title,
      status,
      code: this.kind,
      detail: cut(this.message, maxDetail),
      requestId,
      ...(errors.length > 0 && {
        errors: errors
          .slice(0, maxErrors)
          .map(({ path, message }) => ({ path: cut(path, maxText), message: cut(message, maxText) })),
      }),
      ...(batchId !== undefined && { batchId }),
    };
  }
}

/** Characters of what the sender's own words may be in. */
export const maxText = 200;
/** Characters of ours, with several of the sender's words. */
const maxDetail = 1500;
const maxErrors = 100;

function cut(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  // No half of a surrogate pair is left at the end.
  return `${text.slice(0, maxLength - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

export const problemType = "application/problem+json";
