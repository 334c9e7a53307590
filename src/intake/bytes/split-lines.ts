/** Consecutive lines without their terminators. */
export interface LineBlock {
  /** The number of the first of them, from 1. */
  readonly firstLine: number;
  readonly lines: readonly string[];
}

/** Longer lines are no contacts. They come out cut, but never shorter than one character above this. */
export const maxLineLength = 64 * 1024;

// A UTF-16 code unit takes at most three bytes of UTF-8.
const maxHeldBytes = 3 * (maxLineLength + 1);
const lf = 10;
const cr = 13;

/**
 * Cuts UTF-8 text into lines at LF, CRLF or CR, block by block as the chunks come. Bytes that are not
 * UTF-8 become U+FFFD. Holds one unfinished line and one chunk in memory, and of a line without an end
 * only the beginning.
 */
export async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<LineBlock> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let line = 1;
  let afterCr = false;

  const hold = (bytes: Buffer) => {
    const kept = bytes.subarray(0, maxHeldBytes - heldBytes);
    if (kept.length > 0) held.push(kept);
    heldBytes += kept.length;
  };
  const take = (bytes: Buffer): string => {
    const text = held.length === 0 ? bytes.toString() : Buffer.concat([...held, bytes]).toString();
    held = [];
    heldBytes = 0;
    return text;
  };

  for await (let chunk of chunks) {
    if (chunk.length === 0) continue;
    // A CR at the end of the last chunk has ended its line already; the LF is no second end.
    if (afterCr && chunk[0] === lf) chunk = chunk.subarray(1);
    afterCr = chunk.at(-1) === cr;
    const end = Math.max(chunk.lastIndexOf(lf), chunk.lastIndexOf(cr)) + 1;
    if (end > 0) {
      const lines = cutLines(take(chunk.subarray(0, end)));
      yield { firstLine: line, lines };
      line += lines.length;
    }
    hold(chunk.subarray(end));
  }
  if (heldBytes > 0) yield { firstLine: line, lines: [take(Buffer.alloc(0))] };
}

function cutLines(text: string): string[] {
  // Splitting at a string is several times as fast, and most files have no CR.
  const lines = text.includes("\r") ? text.split(/\r\n?|\n/) : text.split("\n");
  lines.pop();
  return lines;
}
