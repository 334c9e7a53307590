/** Bytes that come in pieces, in one buffer. The memory is at most some three times the bytes, however small the pieces are. */
export interface ByteCollector {
  /** False: they are over the limit with this piece, of which the first bytes were taken up to it. */
  add(piece: Uint8Array): boolean;
  /** All bytes so far. Later ones do not change it. */
  take(): Buffer;
}

/** Keeping the pieces would cost over 100 bytes each: a server that sends byte by byte would fill the memory. */
export function createByteCollector(maxBytes = Number.POSITIVE_INFINITY): ByteCollector {
  let buffer = Buffer.alloc(0);
  let length = 0;
  return {
    add(piece) {
      const end = Math.min(length + piece.length, maxBytes);
      if (end > buffer.length) {
        // What comes in one piece, as most does, gets a buffer of its size.
        const larger = Buffer.allocUnsafe(Math.min(Math.max(end, buffer.length * 2), maxBytes));
        buffer.copy(larger, 0, 0, length);
        buffer = larger;
      }
      buffer.set(piece.subarray(0, end - length), length);
      const isWhole = length + piece.length <= maxBytes;
      length = end;
      return isWhole;
    },
    // A full buffer is not written to again.
    take: () => (length === buffer.length ? buffer : Buffer.from(buffer.subarray(0, length))),
  };
}
