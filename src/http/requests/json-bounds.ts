import { findJsonExcess } from "../../lib/json/find-json-excess.ts";
import { ApiError } from "../answers/problem.ts";

/** Ten thousand contacts with all that can be said of them have 70,000. */
const maxMarks = 100_000;
/** Nothing that is taken has more than four. */
const maxDepth = 32;

/**
 * Refuses JSON that would take long to read for its size, before it is.
 * @throws ApiError `body-too-large` or `malformed-body`
 */
export function assertJsonBounds(bytes: Uint8Array): void {
  const excess = findJsonExcess(bytes, { maxMarks, maxDepth });
  if (excess === "depth") throw tooDeep();
  if (excess === "marks") throw tooMany();
}

function tooDeep(): ApiError {
  return new ApiError(
    "malformed-body",
    `the body is nested more than ${maxDepth} deep: nothing that is taken here is`,
  );
}

function tooMany(): ApiError {
  return new ApiError(
    "body-too-large",
    `the body has more than ${maxMarks} keys and values: send several, or a stream of NDJSON or CSV`,
  );
}
