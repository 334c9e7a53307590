import { ApiError } from "../answers/problem.ts";

/** Ten thousand contacts with all that can be said of them have 70,000. */
const maxMarks = 100_000;
/** Nothing that is taken has more than four. */
const maxDepth = 32;

/**
 * Refuses JSON that would take long to read for its size: half a million keys, a million brackets. Looks at each byte once, and
 * before anything is built of them; what is no JSON at all is left to its parser.
 * @throws ApiError `body-too-large` or `malformed-body`
 */
export function assertJsonBounds(bytes: Uint8Array): void {
  let marks = 0;
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    switch (bytes[at]!) {
      case 0x22: // "
        at = skipText(bytes, at + 1);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        marks += 1;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
      case 0x2c: // ,
      case 0x3a: // :
        marks += 1;
        break;
    }
    if (depth > maxDepth) throw tooDeep();
    if (marks > maxMarks) throw tooMany();
  }
}

/** The index of the quote that ends the text, or of the end. */
function skipText(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] === 0x22) return at;
    // What is escaped ends no text.
    if (bytes[at] === 0x5c) at += 1;
  }
  return bytes.length;
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
