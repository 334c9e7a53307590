import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { toExcerpt } from "../../domain/chat-id.ts";
import { LockedError, UserError } from "../../lib/errors.ts";
import { ApiError, maxText, type Problem, type ProblemKind } from "./problem.ts";

/** Seconds after which a server that is slow or away is worth another try. */
const retryAfterS = 5;

const kindByCode: Readonly<Record<string, ProblemKind>> = {
  FST_ERR_BAD_URL: "invalid-request",
};

const kindByStatus: Readonly<Record<number, ProblemKind>> = {
  400: "malformed-body",
  // The documentation answers so for files outside of it.
  403: "not-found",
  404: "not-found",
  408: "request-timeout",
  413: "body-too-large",
  415: "unsupported-media-type",
};

const details: Partial<Record<string, string>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: "the body is not JSON",
  FST_ERR_CTP_EMPTY_JSON_BODY: "the body is empty, but its Content-Type says JSON",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "the body is not as long as its Content-Length says",
  FST_ERR_CTP_BODY_TOO_LARGE:
    "the body is too large for one request: send several, or a stream of NDJSON or CSV",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "the Content-Type is not one that is understood here",
  FST_ERR_BAD_URL: "the path is not correctly encoded",
  FST_ERR_MAX_PARAM_LENGTH: "a part of the path is too long",
};

/**
 * Puts an error into words for the sender of the request.
 * @param isTransient knows the errors of a Postgres that is slow or away
 */
export function toApiError(error: unknown, isTransient: (error: unknown) => boolean): ApiError {
  if (error instanceof ApiError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const where = error.validationContext ?? "body";
    const errors = error.validation.map(({ instancePath, message = "is not valid", params }) => ({
      path: where === "body" ? toPointer(instancePath) : toLocation(where, instancePath),
      message: toFault(message, params["keys"]),
    }));
    return invalidRequest(errors);
  }
  if (error instanceof UserError) {
    if (error.retryable) return unavailable(error);
    if (error.code === "invalid-cursor")
      return new ApiError("invalid-cursor", error.message, { cause: error });
    // What Node.js knows as one, and Postgres does not.
    if (error.code === "unknown-time-zone")
      return invalidRequest([{ path: "/timeZone", message: error.message }]);
    return new ApiError("unusable-input", error.message, { cause: error });
  }
  if (isRequestFault(error)) {
    const kind = kindByCode[error.code ?? ""] ?? kindByStatus[error.statusCode] ?? "invalid-request";
    return new ApiError(kind, details[error.code ?? ""] ?? "the request cannot be served", { cause: error });
  }
  return isTransient(error) ? unavailable(error) : internal(error);
}

const maxNames = 5;

/**
 * The fault in one place, in few words however many names are wrong there.
 * @param unknownNames where that is the fault
 */
export function toFault(message: string, unknownNames: unknown): string {
  if (!Array.isArray(unknownNames) || unknownNames.length <= maxNames) return message;
  const names = unknownNames.slice(0, maxNames).map((name) => `"${toExcerpt(String(name), 20)}"`);
  return `Unrecognized keys: ${names.join(", ")}, and ${unknownNames.length - maxNames} more`;
}

/** @param errors each with its place */
export function invalidRequest(errors: NonNullable<Problem["errors"]>): ApiError {
  const [first] = errors;
  const detail = first
    ? `${toExcerpt(first.path, maxText) || "the body"}: ${toExcerpt(first.message, maxText)}`
    : "the request is not valid";
  const others = errors.length > 1 ? `, and ${errors.length - 1} more` : "";
  return new ApiError("invalid-request", detail + others, { errors });
}

/** @param batchId of a stream that ends with it */
export function unavailable(cause?: unknown, batchId?: string): ApiError {
  return new ApiError(
    "unavailable",
    cause instanceof LockedError
      ? cause.message
      : "the database is slow or away; nothing was done that was not acknowledged: try again",
    { retryAfterS, cause, batchId },
  );
}

function internal(cause: unknown): ApiError {
  return new ApiError("internal", "an error of ours; the log has it under this request id", { cause });
}

/** The body itself is the empty pointer; `/` would be its member with an empty name. */
function toPointer(instancePath: string): string {
  return instancePath === "/" ? "" : instancePath;
}

/** `query/limit` of `/limit` in the querystring. */
function toLocation(where: string, instancePath: string): string {
  const names: Record<string, string> = { querystring: "query", params: "path", headers: "header" };
  return `${names[where] ?? where}${instancePath}`;
}

/** Fastify and its plugins say by a status that it is the sender's fault. */
function isRequestFault(
  error: unknown,
): error is Error & { readonly statusCode: number; readonly code?: string } {
  return (
    error instanceof Error &&
    "statusCode" in error &&
    typeof error.statusCode === "number" &&
    error.statusCode >= 400 &&
    error.statusCode < 500
  );
}
