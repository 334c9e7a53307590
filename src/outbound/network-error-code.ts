import { errors } from "undici";

/**
 * The stable code of what undici or Node threw, e.g. `ECONNREFUSED`, `UND_ERR_SOCKET` or
 * `CERT_HAS_EXPIRED`. Never its message, which may hold the URL, and with it a token or a signature.
 */
export function toNetworkErrorCode(error: unknown): string {
  return findCode(error, 3) ?? "UNKNOWN";
}

function findCode(error: unknown, depth: number): string | undefined {
  if (!(error instanceof Error) || depth === 0) return undefined;
  if ("code" in error && typeof error.code === "string" && /^[A-Z][A-Z0-9_]{1,60}$/.test(error.code))
    return error.code;
  // What is not HTTP at all has a code for some of the ways only.
  if (error instanceof errors.HTTPParserError) return "UND_ERR_HTTP_PARSER";
  // Node tries all addresses of a host, and then throws what happened at each.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  return findCode(error.cause, depth - 1) ?? findCode(inner, depth - 1);
}
