import { createHash } from "node:crypto";

/** What the URL of an avatar says about itself. */
export interface AvatarUrl {
  readonly url: string;
  /** From `oe`, which is hex UNIX seconds (seen in samples and in mautrix/whatsapp, `userinfo.go`). */
  readonly urlExpiresAt: Date | undefined;
  /** The CDN path without the query: the rest (`oh`, `oe`, `_nc_*`) differs at every answer. Data: its hash. */
  readonly version: string;
}

/** The longest that browsers and proxies take; the provider's have about 250 characters. */
const maxUrlChars = 8_192;
/**
 * A name of a host has 253 at most, and a port beside it. Of one that is not ASCII the time to read it grows with the square
 * of its length.
 */
const start = /^https?:\/\/[^/\\?#]{1,300}(?:[/\\?#]|$)/i;
const dataUriPattern = /^data:image\/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,(?<payload>[\w+/=%\s-]+)$/i;

/** Reads `text` as an avatar: an http(s) URL or a base64 image; undefined for any other text. */
export function parseAvatarUrl(text: string): AvatarUrl | undefined {
  const payload = dataUriPattern.exec(text)?.groups?.["payload"]?.replace(/\s+/g, "");
  if (payload !== undefined) return payload === "" ? undefined : toDataAvatar(text, payload);
  // Parsers drop line ends and tabs and encode blanks: a text with them was not meant as a URL.
  if (text.length > maxUrlChars || /[\s\p{C}]/u.test(text) || !start.test(text)) return undefined;
  if (!URL.canParse(text)) return undefined;
  const { pathname, searchParams } = new URL(text);
  return { url: text, urlExpiresAt: parseExpiry(searchParams.get("oe")), version: pathname };
}

function toDataAvatar(url: string, payload: string): AvatarUrl {
  const version = `sha256:${createHash("sha256").update(payload).digest("hex")}`;
  return { url, urlExpiresAt: undefined, version };
}

/** WhatsApp's first year, and a year that no signature lives to see: outside it is not a date. */
const earliest = Date.UTC(2009, 0);
const latest = Date.UTC(2100, 0);

function parseExpiry(oe: string | null): Date | undefined {
  if (oe === null || !/^[0-9a-f]{1,12}$/i.test(oe)) return undefined;
  const at = Number.parseInt(oe, 16) * 1000;
  return at >= earliest && at < latest ? new Date(at) : undefined;
}
