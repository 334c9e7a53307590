import { inspectImage } from "./inspect-image.ts";
import { maxImageBytes, type RefusedImage, type TakenImage } from "./image.ts";

/** Four characters for three bytes, and a tenth more for line ends and the head of a `data:` URI. */
const maxChars = Math.ceil((maxImageBytes * 4 * 1.1) / 3);
/** The longest head of a `data:` URI that is read. */
const maxHeadChars = 200;
/** Words that were seen in place of an image. One of them would pass as base64. */
const noImage = new Set(["", "undefined", "null"]);

/**
 * Reads an image out of raw base64 or a `data:` URI, as `base64Avatar` and `urlAvatar` may hold it. The media type that a URI
 * names is not believed. Pure, total, and linear in the length of the text. Undefined where the text says that there is none:
 * blanks, `undefined`, or `null`.
 */
export function decodeBase64Image(text: string): TakenImage | RefusedImage | undefined {
  if (text.length > maxChars) return { kind: "refused", reason: "too-large" };
  const trimmed = text.trim();
  if (noImage.has(trimmed)) return undefined;
  const base64 = readPayload(trimmed);
  if (base64 === undefined) return { kind: "refused", reason: "not-base64" };
  return inspectImage(Buffer.from(base64, "base64"));
}

/** The base64 alone; undefined: it is none. Node's own decoder skips what it does not know. */
function readPayload(text: string): string | undefined {
  const payload = /^data:/i.test(text) ? cutHead(text) : text;
  const base64 = payload?.replace(/[\t\n\r ]+/g, "") ?? "";
  const digits = base64.replace(/={1,2}$/, "");
  // A last digit alone holds no byte; padding, where there is some, fills the last four.
  const isWhole = digits.length % 4 !== 1 && (digits.length === base64.length || base64.length % 4 === 0);
  return isWhole && /^[\w+/-]+$/.test(digits) ? digits : undefined;
}

/** Undefined: not a `data:` URI with base64. In URIs `+`, `/` and `=` may be written with a percent sign. */
function cutHead(uri: string): string | undefined {
  const comma = uri.slice(0, maxHeadChars).indexOf(",");
  if (comma < 0 || !uri.slice(0, comma).toLowerCase().endsWith(";base64")) return undefined;
  return uri
    .slice(comma + 1)
    .replace(/%(2B|2F|3D)/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
