import { malformed } from "./reply-head.ts";

/** Takes a body out of its chunks (RFC 9112, 7.1), in pieces as they come. Its bytes are looked at once. */
export interface ChunkedBody {
  /**
   * Passes what is of the body in `bytes` on to `take`. Returns the place behind the end of the body, or undefined while there is
   * more to come.
   * @throws HTTPParserError
   */
  read(bytes: Buffer, from: number, take: (piece: Buffer) => void): number | undefined;
}

/** A size with its extensions, or a trailer. */
const maxLineBytes = 4 * 1024;
const maxTrailers = 64;

const lineFeed = 0x0a;

type Part = "size" | "data" | "data-end" | "trailer";

export function createChunkedBody(): ChunkedBody {
  let part: Part = "size";
  let line = "";
  let left = 0;
  let trailers = 0;

  /** What a line means that has come whole, without its end. True: it was the last. */
  function readLine(text: string): boolean {
    if (part === "trailer") {
      trailers += 1;
      if (trailers > maxTrailers) throw malformed("the end");
      return text === "";
    }
    if (part === "data-end") {
      if (text !== "") throw malformed("a chunk");
      part = "size";
      return false;
    }
    const size = /^(?<size>[\da-f]{1,12})(?:[ \t]*;[\t -~\u0080-\u00ff]*)?$/i.exec(text)?.groups?.["size"];
    if (size === undefined) throw malformed("a chunk's size");
    left = Number.parseInt(size, 16);
    part = left === 0 ? "trailer" : "data";
    return false;
  }

  return {
    read(bytes, from, take) {
      for (let at = from; at < bytes.length;) {
        if (part === "data") {
          const end = Math.min(at + left, bytes.length);
          take(bytes.subarray(at, end));
          left -= end - at;
          at = end;
          if (left === 0) part = "data-end";
          continue;
        }
        const end = bytes.indexOf(lineFeed, at);
        line += bytes.toString("latin1", at, end < 0 ? bytes.length : end);
        if (line.length > maxLineBytes) throw malformed("a line");
        if (end < 0) return undefined;
        at = end + 1;
        if (!line.endsWith("\r")) throw malformed("a line");
        const text = line.slice(0, -1);
        line = "";
        if (readLine(text)) return at;
      }
      return undefined;
    },
  };
}
