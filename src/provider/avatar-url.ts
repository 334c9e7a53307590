import { createHash } from "node:crypto";
import { parseHttpUrl } from "../outbound/http-url.ts";

/** What the URL of an avatar says about itself. */
export interface AvatarUrl {
  readonly url: string;
  /** From `oe`, which is hex UNIX seconds (seen in samples and in mautrix/whatsapp, `userinfo.go`). */
  readonly urlExpiresAt: Date | undefined;
  /** The CDN path without the query: the rest (`oh`, `oe`, `_nc_*`) differs at every answer. Data: its hash. */
  readonly version: string;
}

const dataUriPattern = /^data:image\/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,(?<payload>[\w+/=%\s-]+)$/i;

/** Reads `text` as an avatar: an http(s) URL or a base64 image; undefined for any other text. */
export function parseAvatarUrl(text: string): AvatarUrl | undefined {
  const payload = dataUriPattern.exec(text)?.groups?.["payload"]?.replace(/\s+/g, "");
  if (payload !== undefined) return payload === "" ? undefined : toDataAvatar(text, payload);
  const parsed = parseHttpUrl(text);
  if (parsed === undefined) return undefined;
  const { pathname, searchParams } = parsed;
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
