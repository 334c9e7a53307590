/** What a JSON text may have. */
export interface JsonBounds {
  /** Keys, values, objects and lists, as they are counted by the signs before them. */
  readonly maxMarks: number;
  readonly maxDepth: number;
}

/**
 * Is it JSON that would take long to read for its size: half a million keys, a million brackets? Looks at each byte once,
 * before anything is built of them. Finds nothing in what is no JSON at all.
 * @returns what there is too much of
 */
export function findJsonExcess(
  bytes: Uint8Array,
  { maxMarks, maxDepth }: JsonBounds,
): "marks" | "depth" | undefined {
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
    if (depth > maxDepth) return "depth";
    if (marks > maxMarks) return "marks";
  }
  return undefined;
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
