import { isIP } from "node:net";

/** Names of ranges that the proxies of a machine, or of its private network, have. */
const ranges = new Set(["loopback", "linklocal", "uniquelocal"]);

const expected =
  "addresses of proxies, with commas between them: 192.0.2.7, 10.0.0.0/8, fd00::/8, or loopback, linklocal, uniquelocal";

/**
 * Reads the proxies whose `X-Forwarded-For` is believed. A count of hops is none: a caller who connects without the proxy would
 * be believed too. Nor is a range that holds every address.
 */
export function parseTrustedProxies(
  text: string,
):
  | { readonly ok: true; readonly value: readonly string[] }
  | { readonly ok: false; readonly expected: string } {
  const items = text.split(",").map((item) => item.trim().toLowerCase());
  const at = items.findIndex((item) => !isProxy(item));
  const wrong = items[at];
  if (wrong === undefined) return { ok: true, value: items };
  return { ok: false, expected: `${expected}; ${explain(wrong, at + 1)}` };
}

function isProxy(item: string): boolean {
  if (ranges.has(item)) return true;
  const [address = "", bits, ...others] = item.split("/");
  const version = isIP(address);
  if (version === 0 || address.includes("%") || others.length > 0) return false;
  if (bits === undefined) return true;
  return /^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128);
}

/** The fault of one item, called by its place. Its text is not shown: it may be a secret that landed in the wrong setting. */
function explain(item: string, place: number): string {
  if (/^\d+$/.test(item))
    return `item ${place} is a count of hops, which would believe those who come without a proxy too`;
  if (/^(true|all|\*)$/.test(item) || item.endsWith("/0"))
    return `item ${place} would believe every caller, who could then choose an address`;
  return `item ${place} is none of these`;
}
