import { isIP } from "node:net";
import { buildConnector } from "undici";
import { type HostPort, isAmong } from "../domain/host-port.ts";
import type { NetworkList } from "../lib/addresses/networks.ts";
import { isPublicAddress } from "./address-guard.ts";
import { createGuardedLookup, type Resolve } from "./guarded-lookup.ts";
import { RefusedAddressError } from "./refused-address-error.ts";

export interface GuardedConnectorOptions {
  /** Reached wherever they are. All others only at public addresses. */
  readonly named: readonly HostPort[];
  /** From asking for the addresses to the end of the TLS handshake, ms. */
  readonly timeoutMs: number;
  /** The system's resolver unless told. Asked for no host of `named`. */
  readonly resolve?: Resolve | undefined;
  /** Reached beside public addresses; by http these alone are. Unless told, public addresses are reached by both. */
  readonly networks?: NetworkList | undefined;
  /** Certificates in PEM that are trusted in place of Node's own. */
  readonly ca?: string | undefined;
}

/**
 * The `connect` of an undici Agent or Pool: opens connections to public addresses, and to the hosts that are named.
 * Others end with RefusedAddressError, before a packet is sent.
 */
export function createGuardedConnector(options: GuardedConnectorOptions): buildConnector.connector {
  const { named, timeoutMs, resolve, ca, networks } = options;
  const settings = { timeout: timeoutMs, ...(ca !== undefined && { ca }) };
  const connectFreely = buildConnector(settings);
  const createGuarded = (mayReach: (address: string) => boolean) => {
    const connect = buildConnector({ ...settings, lookup: createGuardedLookup(resolve, mayReach) });
    return { mayReach, connect };
  };
  const plain = createGuarded((address) => networks?.has(address) ?? isPublicAddress(address));
  const secure = createGuarded((address) => isPublicAddress(address) || networks?.has(address) === true);
  return (target, callback) => {
    if (isAmong(named, toPair(target))) return connectFreely(target, callback);
    const guarded = target.protocol === "https:" ? secure : plain;
    // Node looks up names alone; an address goes straight to the socket.
    if (isIP(target.hostname) !== 0 && !guarded.mayReach(target.hostname))
      return callback(new RefusedAddressError(), null);
    return guarded.connect(target, callback);
  };
}

/** undici leaves a scheme's own port out, and takes the brackets off. */
function toPair({ hostname, port, protocol }: buildConnector.Options): HostPort {
  const ownPort = protocol === "https:" ? 443 : 80;
  return { host: hostname, port: port === "" ? ownPort : Number(port) };
}
