import { errors } from "undici";
import { type ByteCollector, createByteCollector } from "../../outbound/byte-collector.ts";
import { type ChunkedBody, createChunkedBody } from "./chunked-body.ts";
import { malformed, maxHeadBytes, parseReplyHead, type ReplyHead } from "./reply-head.ts";

/** A reply that has come whole. */
export interface ReadReply {
  readonly head: ReplyHead;
  readonly body: string;
  /** How long the connection may rest; 0: it must not be used again. */
  readonly restMs: number;
}

/**
 * Reads the replies of one connection, one after the other. A reply that comes in one piece, as nearly all do, is read where it
 * lies; what is kept of others is copied, so that all connections may share the buffer that `read` is given.
 */
export class ReplyReader {
  readonly #maxBodyBytes: number;
  /** The start of a head that has not come whole. */
  #start: Buffer | undefined;
  #head: ReplyHead | undefined;
  #pieces: ByteCollector | undefined;
  #length = 0;
  #chunks: ChunkedBody | undefined;

  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Of the reply whose body is on its way. */
  get status(): number | undefined {
    return this.#head?.status;
  }

  /**
   * Takes what has come. Undefined: there is more to come.
   * @throws HTTPParserError, HeadersOverflowError, ResponseExceededMaxSizeError
   */
  read(bytes: Buffer): ReadReply | undefined {
    if (this.#head !== undefined) return this.#readBody(this.#head, bytes, 0);
    const all = this.#start === undefined ? bytes : Buffer.concat([this.#start, bytes]);
    const end = all.indexOf("\r\n\r\n", 0, "latin1");
    if (end > maxHeadBytes || (end < 0 && all.length > maxHeadBytes)) throw new errors.HeadersOverflowError();
    if (end < 0) {
      // Something else than HTTP is not waited for.
      if (!"HTTP/1.".startsWith(all.toString("latin1", 0, 7))) throw malformed("the start");
      this.#start = all === bytes ? Buffer.from(bytes) : all;
      return undefined;
    }
    this.#start = undefined;
    const head = parseReplyHead(all.toString("latin1", 0, end));
    if (head.status >= 200) {
      this.#head = head;
      return this.#readBody(head, all, end + 4);
    }
    // An interim reply says nothing. One that asks for a body or another protocol was not asked for.
    if (head.status <= 101) throw new errors.SocketError("bad response");
    return end + 4 < all.length ? this.read(all.subarray(end + 4)) : undefined;
  }

  /** The connection was closed by the other side: that ends the one kind of body which does not tell its length. */
  end(): ReadReply | undefined {
    const head = this.#head;
    const isOpenEnded = head !== undefined && head.length === undefined && !head.isChunked;
    return isOpenEnded ? this.#finish(head, toText(this.#pieces?.take()), 0) : undefined;
  }

  #readBody(head: ReplyHead, bytes: Buffer, from: number): ReadReply | undefined {
    if (head.status === 204 || head.status === 304) return this.#finish(head, "", bytes.length - from);
    if (head.isChunked) return this.#readChunks(head, bytes, from);
    const { length = Number.POSITIVE_INFINITY } = head;
    const end = from + length - this.#length;
    if (head.length !== undefined && length > this.#maxBodyBytes)
      throw new errors.ResponseExceededMaxSizeError();
    if (this.#pieces === undefined && end <= bytes.length)
      return this.#finish(head, toText(bytes, from, end), bytes.length - end);
    this.#keep(bytes.subarray(from, Math.min(end, bytes.length)));
    if (this.#length < length) return undefined;
    return this.#finish(head, toText(this.#pieces?.take()), bytes.length - end);
  }

  #readChunks(head: ReplyHead, bytes: Buffer, from: number): ReadReply | undefined {
    this.#chunks ??= createChunkedBody();
    const end = this.#chunks.read(bytes, from, (piece) => this.#keep(piece));
    return end === undefined
      ? undefined
      : this.#finish(head, toText(this.#pieces?.take()), bytes.length - end);
  }

  #keep(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#length > this.#maxBodyBytes) throw new errors.ResponseExceededMaxSizeError();
    this.#pieces ??= createByteCollector();
    this.#pieces.add(piece);
  }

  /** @param surplus bytes behind the reply: no request has asked for them */
  #finish(head: ReplyHead, body: string, surplus: number): ReadReply {
    this.#head = undefined;
    this.#pieces = undefined;
    this.#chunks = undefined;
    this.#length = 0;
    const isOpenEnded =
      head.length === undefined && !head.isChunked && head.status !== 204 && head.status !== 304;
    return { head, body, restMs: surplus > 0 || isOpenEnded ? 0 : head.restMs };
  }
}

/** As a TextDecoder reads it: without the mark that may begin it. */
function toText(bytes: Buffer | undefined, from = 0, end = bytes?.length): string {
  if (bytes === undefined) return "";
  const text = bytes.toString("utf8", from, end);
  return text.charCodeAt(0) === 0xfe_ff ? text.slice(1) : text;
}
