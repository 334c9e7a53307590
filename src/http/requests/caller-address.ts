import { normalizeIP } from "@fastify/rate-limit";
import { isIP } from "node:net";

/** What of a request tells where it comes from. */
export interface Addressed {
  /** Of the caller, or what the proxies that are trusted say of it: any text. */
  readonly ip: string | undefined;
  /** Of the connection. */
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/**
 * The address by which a caller is counted: of IPv6 the first 64 bits, since each customer of a provider has all addresses
 * of such a network. Where a trusted proxy says nothing that is an address, the proxy itself is counted.
 */
export function toCallerAddress({ ip, socket }: Addressed): string {
  const address = withoutPort(ip) ?? withoutPort(socket.remoteAddress);
  return address === undefined ? "unknown" : normalizeIP(address);
}

/** Undefined: it is no address. Some proxies write the port of the caller behind it. */
function withoutPort(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const [, v6] = /^\[([^\]]{1,50})\](?::\d{1,5})?$/.exec(text) ?? [];
  const [, v4] = /^([\d.]{7,15}):\d{1,5}$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? text;
  return isIP(address) === 0 ? undefined : address;
}
