import { createHmac } from "node:crypto";
import { toHexSeconds } from "./avatar-url.ts";
import type { Random } from "./random.ts";

/** What makes a URL of the simulator's own pictures. */
interface UrlParts {
  /** Where the simulator is reached, e.g. `http://127.0.0.1:40123`. */
  readonly origin: string;
  readonly path: string;
  /** In ms since the epoch; undefined for a URL without `oe`, which never ends. */
  readonly expiresAtMs: number | undefined;
  readonly seed: number;
}

const signed =
  /^(?<path>\/v\/t61\.24694-24\/[\d_]{1,60}_n\.jpg)\?ccb=11-4&oh=01_Q5Aa(?<signature>[\w-]{43})(?<rest>(?:&oe=(?<oe>[0-9A-F]{1,12}))?&_nc_sid=5e03e0&_nc_cat=\d{3})$/;

/** A URL as WhatsApp hands it out, but at the simulator and with a signature that it knows again, restarted or not. */
export function toSignedUrl({ origin, path, expiresAtMs, seed }: UrlParts, random: Random): string {
  const expiry = expiresAtMs === undefined ? "" : `&oe=${toHexSeconds(expiresAtMs)}`;
  const rest = `${expiry}&_nc_sid=5e03e0&_nc_cat=${100 + Math.floor(random() * 12)}`;
  return `${origin}${path}?ccb=11-4&oh=01_Q5Aa${sign(path, rest, seed)}${rest}`;
}

/** Whether a path with its query was signed as it is, and is still good: up to the moment `oe`. */
export function judgeSignedUrl(target: string, seed: number, nowMs: number): "good" | "mismatch" | "expired" {
  const { path = "", signature, rest = "", oe } = signed.exec(target)?.groups ?? {};
  if (signature === undefined || signature !== sign(path, rest, seed)) return "mismatch";
  return oe !== undefined && nowMs >= Number.parseInt(oe, 16) * 1000 ? "expired" : "good";
}

/** Every parameter is under the signature. The key is no secret: it tells URLs of this seed from all others. */
function sign(path: string, rest: string, seed: number): string {
  return createHmac("sha256", `pictures of ${seed}`).update(`${path}?${rest}`).digest("base64url");
}
