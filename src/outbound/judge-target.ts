import { isIP } from "node:net";
import { type HostPort, isAmong, toHostPort } from "../domain/host-port.ts";
import { parseHttpUrl } from "./http-url.ts";
import type { NetworkList } from "../lib/addresses/networks.ts";
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
  /** Reached beside public addresses, and by http too. Where a name leads is seen when the connection opens. None unless told. */
  readonly networks?: NetworkList;
  /** Any port of https will do. */
  readonly anyPort?: boolean;
}

export type TargetVerdict =
  | { readonly kind: "allowed"; readonly url: URL }
  | { readonly kind: "refused"; readonly reason: TargetRefusal };

/**
 * May a request go to this URL? Https on port 443, at a host that is allowed; addresses in place of a name must be public. What a
 * name resolves to is looked at when the connection opens: see `createGuardedConnector`.
 */
export function judgeTarget(text: string, rules: TargetRules): TargetVerdict {
  const url = parseHttpUrl(text);
  if (url === undefined) return { kind: "refused", reason: "not-a-url" };
  if (url.username !== "" || url.password !== "") return { kind: "refused", reason: "has-credentials" };
  if (isAmong(rules.named, toHostPort(url))) return { kind: "allowed", url };
  const reason = findRefusal(url, rules);
  return reason === undefined ? { kind: "allowed", url } : { kind: "refused", reason };
}

function findRefusal(
  url: URL,
  { mayReach, networks, anyPort = false }: TargetRules,
): TargetRefusal | undefined {
  const { host, port } = toHostPort(url);
  // The parser has brought all ways to write an address to this one.
  const isAddress = isIP(host) !== 0;
  const isNamed = isAddress && networks?.has(host) === true;
  if (url.protocol !== "https:" && !isNamed && (isAddress || !networks?.size)) return "not-https";
  if (!anyPort && port !== 443) return "port-not-allowed";
  if (isAddress && !isNamed && !isPublicAddress(host)) return "private-address";
  return mayReach(url.hostname) ? undefined : "host-not-allowed";
}
