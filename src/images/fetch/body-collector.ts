import { usualBodyBytes } from "./body-room.ts";

/** One body, as it comes in pieces. */
export interface BodyCollector {
  /** Makes room for so many bytes, before they come. False: there is none. */
  expect(bytes: number): boolean;
  /** `cut`: the body is over its limit with this piece, of which the first bytes were taken. `no-room`: none of it was. */
  add(piece: Uint8Array): "added" | "cut" | "no-room";
  /** All bytes so far. Nothing may be added afterwards. */
  take(): Buffer;
}

/**
 * Keeps a body in one buffer: pieces would cost over 100 bytes each, and a server may send byte by byte. Beyond the usual size it
 * needs the buffer that `enlarge` gives, if there is one.
 * @param limit no more than what `enlarge` gives
 */
export function createBodyCollector(limit: number, enlarge: () => Buffer | undefined): BodyCollector {
  let buffer: Buffer = Buffer.alloc(0);
  let length = 0;

  /** A buffer that holds `end` bytes, or twice as many as before, so that small pieces are not copied each time. */
  function grow(end: number): boolean {
    if (end <= buffer.length) return true;
    const larger =
      end > usualBodyBytes
        ? enlarge()
        : Buffer.allocUnsafe(Math.min(Math.max(end, 2 * buffer.length), usualBodyBytes));
    if (larger === undefined) return false;
    buffer.copy(larger, 0, 0, length);
    buffer = larger;
    return true;
  }

  return {
    expect: (bytes) => grow(Math.min(bytes, limit)),
    add(piece) {
      const end = Math.min(length + piece.length, limit);
      if (!grow(end)) return "no-room";
      buffer.set(piece.subarray(0, end - length), length);
      const isWhole = length + piece.length <= limit;
      length = end;
      return isWhole ? "added" : "cut";
    },
    take: () => buffer.subarray(0, length),
  };
}
