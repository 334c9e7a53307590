import { createHash } from "node:crypto";
import { unknownVersionPrefix } from "../domain/avatar-version.ts";
import { parseHttpUrl } from "../outbound/http-url.ts";

/** An avatar as an answer tells it, and what its URL says about itself. */
export interface ToldAvatar {
  /** Undefined: the image came without one. */
  readonly url: string | undefined;
  /** The image itself: raw base64 or a `data:` URI. */
  readonly base64?: string | undefined;
  /** From `oe`, which is hex UNIX seconds (seen in samples and in mautrix/whatsapp, `userinfo.go`). */
  readonly urlExpiresAt: Date | undefined;
  /** A mark of the picture, as far as the URL tells it: domain/avatar-version.ts. */
  readonly version: string;
}

const dataUriPattern = /^data:image\/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,(?<payload>[\w+/=%\s-]+)$/i;

/** Reads `urlAvatar` as an avatar: an http(s) URL, a `data:` URI, or raw base64; undefined for any other text. */
export function parseAvatarUrl(text: string): ToldAvatar | undefined {
  const payload = dataUriPattern.exec(text)?.groups?.["payload"]?.replace(/\s+/g, "");
  if (payload !== undefined)
    return isRawImage(payload) ? { ...toDataAvatar(payload), url: text, base64: text } : undefined;
  if (isRawImage(text)) return parseBase64Avatar(text);
  const usual = text.length <= maxUsualChars ? usualUrl.exec(text) : null;
  if (usual !== null) return toUrlAvatar(text, usual[1] ?? "", findExpiry(usual[2] ?? ""));
  const parsed = parseHttpUrl(text);
  if (parsed === undefined) return undefined;
  const { search, searchParams } = parsed;
  // A query without escapes, as nearly all are, is not worth an object for each of its parts.
  const expiry = /[%+]/.test(search) ? searchParams.get("oe") : findExpiry(search);
  return toUrlAvatar(text, toUrlVersion(text, parsed), expiry);
}

function toUrlAvatar(url: string, version: string, expiry: string | null | undefined): ToldAvatar {
  return { url, base64: undefined, urlExpiresAt: parseExpiry(expiry), version };
}

/**
 * WhatsApp's URLs as they nearly always are, with their path and query: a parser changes nothing of them, and costs as much as the
 * rest of an answer.
 */
const usualUrl =
  /^https:\/\/(?=[^/]{1,253}\/)[a-z\d]+(?:[.-][a-z\d]+){0,9}\.(?:whatsapp|fbcdn)\.net(\/v\/t\d{1,6}\.\d{1,8}-\d{1,4}\/\w[\w.-]*)(\?[\w=&.-]*)?$/;
const maxUsualChars = 2_048;

/** Hosts of WhatsApp's CDN. Its paths are known elsewhere, too: of a proxy before it, and of the simulator. */
const cdnHost = /(?:^|\.)(?:whatsapp\.net|fbcdn\.net)$/;
const cdnPath = /^\/v\/t\d{1,6}\.\d{1,8}-\d{1,4}\//;
/** https://green-api.com/v3/docs/api/service/GetAvatar: one path for all pictures. */
const maxHost = /(?:^|\.)oneme\.ru$/;

/** See domain/avatar-version.ts. */
function toUrlVersion(text: string, { hostname, pathname, search }: URL): string {
  if (cdnHost.test(hostname) || cdnPath.test(pathname)) return pathname;
  const identity = maxHost.test(hostname) ? /[?&]r=([^&]+)/.exec(search)?.[1] : undefined;
  if (identity !== undefined) return `${pathname}?r=${identity}`;
  return unknownVersionPrefix + createHash("sha256").update(text).digest("hex");
}

/** The value of `oe` in a query without escapes. */
function findExpiry(search: string): string | undefined {
  return /(?:^\?|&)oe(?:=([^&]*))?(?:&|$)/.exec(search)?.[1];
}

/** Reads `base64Avatar` as an image without a URL; undefined where it is none, or one that is never stored, such as SVG. */
export function parseBase64Avatar(text: string): ToldAvatar | undefined {
  const payload = dataUriPattern.exec(text)?.groups?.["payload"] ?? text;
  const digits = payload.replace(/\s+/g, "");
  if (!isRawImage(digits)) return undefined;
  return { ...toDataAvatar(digits), url: undefined, base64: text };
}

/** First characters of JPEG, PNG, WebP, GIF and BMP in base64; the contract's C3. */
const imageStart = /^(?:\/9j\/|iVBOR|UklGR|R0lGOD|Qk0)/;

function isRawImage(text: string): boolean {
  return imageStart.test(text) && /^[\w+/=\s-]+$/.test(text);
}

function toDataAvatar(payload: string): Pick<ToldAvatar, "urlExpiresAt" | "version"> {
  const version = `sha256:${createHash("sha256").update(payload).digest("hex")}`;
  return { urlExpiresAt: undefined, version };
}

/** WhatsApp's first year, and a year that no signature lives to see: outside it is not a date. */
const earliest = Date.UTC(2009, 0);
const latest = Date.UTC(2100, 0);

function parseExpiry(oe: string | null | undefined): Date | undefined {
  if (oe === null || oe === undefined || !/^[0-9a-f]{1,12}$/i.test(oe)) return undefined;
  const at = Number.parseInt(oe, 16) * 1000;
  return at >= earliest && at < latest ? new Date(at) : undefined;
}
