import { errors } from "undici";

/** What comes before the body of a reply, as far as it is needed. */
export interface ReplyHead {
  readonly status: number;
  /** The first one. */
  readonly retryAfter: string | undefined;
  /** Bytes; undefined where it is not told. */
  readonly length: number | undefined;
  readonly isChunked: boolean;
  /** How long the connection may rest after this reply; 0: it must not be used again. */
  readonly restMs: number;
}

/** As undici and Node have it. */
export const maxHeadBytes = 16 * 1024;

/** Status line and headers without folds, bare line ends or control characters, as RFC 9112 has them. */
const wellFormed =
  /^HTTP\/1\.[01] [1-5]\d\d(?: [\t -~\u0080-\u00ff]*)?(?:\r\n[!#$%&'*+.^_`|~\w-]+:[\t -~\u0080-\u00ff]*)*$/;

/** Longer than the pause between two calls at any usual rate, and shorter than a load balancer's patience, which ends in a reset. */
const defaultRestMs = 4_000;
const maxRestMs = 600_000;
/** A server that tells its patience is left before it is over. */
const restMarginMs = 2_000;

/**
 * Reads a head, without the empty line at its end. Strict: what could be read in two ways is refused.
 * @throws HTTPParserError
 */
export function parseReplyHead(text: string): ReplyHead {
  if (!wellFormed.test(text)) throw malformed("the head");
  const headers = readHeaders(text);
  const { "content-length": length, "transfer-encoding": coding, connection } = headers;
  if (coding !== undefined && (coding.toLowerCase() !== "chunked" || length !== undefined))
    throw malformed("the coding");
  const isKept =
    text.startsWith("HTTP/1.1") && !(connection && /(?:^|[ ,])close(?:[ ,]|$)/i.test(connection));
  return {
    status: Number(text.slice(9, 12)),
    retryAfter: headers["retry-after"],
    length: length === undefined ? undefined : parseLength(length),
    isChunked: coding !== undefined,
    restMs: isKept ? parseRest(headers["keep-alive"]) : 0,
  };
}

/** The error of a reply that is not HTTP. */
export function malformed(what: string): Error {
  return new errors.HTTPParserError(`${what} of the reply does not match the HTTP/1.1 protocol`);
}

const names = ["retry-after", "content-length", "transfer-encoding", "connection", "keep-alive"] as const;
type Name = (typeof names)[number];
type Headers = Partial<Record<Name, string>>;

function readHeaders(text: string): Headers {
  const headers: Headers = {};
  for (let at = text.indexOf("\r\n"); at >= 0;) {
    const from = at + 2;
    const colon = text.indexOf(":", from);
    at = text.indexOf("\r\n", colon);
    const name = findName(text, from, colon);
    if (name === undefined) continue;
    const value = text.slice(colon + 1, at < 0 ? undefined : at).trim();
    const known = headers[name];
    headers[name] = known === undefined ? value : join(name, known, value);
  }
  return headers;
}

/** Most other names are told apart by their length alone. */
function findName(text: string, from: number, end: number): Name | undefined {
  const length = end - from;
  if (length !== 10 && length !== 11 && length !== 14 && length !== 17) return undefined;
  const written = text.slice(from, end).toLowerCase();
  return names.find((name) => name === written);
}

/** A header that comes twice. */
function join(name: Name, first: string, second: string): string {
  switch (name) {
    case "retry-after":
      return first;
    case "connection":
    case "keep-alive":
      return `${first},${second}`;
    case "content-length":
      if (first === second) return first;
      throw malformed("two lengths");
    case "transfer-encoding":
      throw malformed("two codings");
  }
}

function parseLength(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw malformed("the length");
  return Number(text);
}

function parseRest(keepAlive: string | undefined): number {
  if (keepAlive === undefined) return defaultRestMs;
  const seconds = /(?:^|[ ,])timeout=(?<seconds>\d{1,9})/i.exec(keepAlive)?.groups?.["seconds"];
  if (seconds === undefined) return defaultRestMs;
  return Math.max(Math.min(Number(seconds) * 1000 - restMarginMs, maxRestMs), 0);
}
