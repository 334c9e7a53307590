import { isIP } from "node:net";
import { type HostPort, isAmong, toHostPort } from "../domain/host-port.ts";
import { parseHttpUrl } from "./http-url.ts";
import { isPublicAddress } from "./address-guard.ts";

/** Why a URL is none that a request goes to. */
export type TargetRefusal =
  | "not-a-url"
  | "has-credentials"
  | "not-https"
  | "port-not-allowed"
  | "private-address"
  | "host-not-allowed";

export interface TargetRules {
  /** Free of all rules: http will do, any port, any address. */
  readonly named: readonly HostPort[];
  /** Of a host that is not named, as URLs have it; an IPv6 address in brackets. */
  readonly mayReach: (hostname: string) => boolean;
}

export type TargetVerdict =
  | { readonly kind: "allowed"; readonly url: URL }
  | { readonly kind: "refused"; readonly reason: TargetRefusal };

/**
 * May a request go to this URL? Https on port 443, at a host that is allowed; addresses in place of a name must be public. What a
 * name resolves to is looked at when the connection opens: see `createGuardedConnector`.
 */
export function judgeTarget(text: string, { named, mayReach }: TargetRules): TargetVerdict {
  const url = parseHttpUrl(text);
  if (url === undefined) return { kind: "refused", reason: "not-a-url" };
  if (url.username !== "" || url.password !== "") return { kind: "refused", reason: "has-credentials" };
  const pair = toHostPort(url);
  if (isAmong(named, pair)) return { kind: "allowed", url };
  if (url.protocol !== "https:") return { kind: "refused", reason: "not-https" };
  if (pair.port !== 443) return { kind: "refused", reason: "port-not-allowed" };
  // The parser has brought all ways to write an address to this one.
  if (isIP(pair.host) !== 0 && !isPublicAddress(pair.host))
    return { kind: "refused", reason: "private-address" };
  return mayReach(url.hostname) ? { kind: "allowed", url } : { kind: "refused", reason: "host-not-allowed" };
}
