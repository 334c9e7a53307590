import { invalidRequest } from "../answers/to-api-error.ts";
import type { ApiError } from "../answers/problem.ts";

/**
 * Reads the header `Idempotency-Key`: a structured string in quotes, as draft-ietf-httpapi-idempotency-key-header says, or
 * bare, as most clients send it.
 * @throws ApiError `invalid-request`
 */
export function readIdempotencyKey(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== "string") throw invalid();
  const [, quoted, bare] = /^\s*(?:"((?:[ !#-[\]-~]|\\["\\])*)"|([!#-~]+))\s*$/.exec(header) ?? [];
  const key = quoted?.replace(/\\(.)/g, "$1") ?? bare;
  if (!key || key.length > 255) throw invalid();
  return key;
}

function invalid(): ApiError {
  return invalidRequest([
    {
      path: "header/idempotency-key",
      message: "Expected 1 to 255 printable ASCII characters, such as a UUID",
    },
  ]);
}
