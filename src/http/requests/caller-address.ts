import { normalizeIP } from "@fastify/rate-limit";
import { isIP } from "node:net";

/** The parts of a request that tell where it comes from. */
export interface Addressed {
  /** The address of the caller, or what the proxies that are trusted say of it: any text. */
  readonly ip: string | undefined;
  /** The address of the connection. */
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/**
 * The address by which a caller is counted. Of IPv6 it is the first 64 bits: each customer of a provider has all addresses of
 * such a network. Where a trusted proxy says nothing that is an address, the proxy itself is counted.
 */
export function toCallerAddress({ ip, socket }: Addressed): string {
  const address = withoutPort(ip) ?? withoutPort(socket.remoteAddress);
  return address === undefined ? "unknown" : normalizeIP(address);
}

/** Reads an address; undefined: it is none. Some proxies write the port of the caller behind it. */
function withoutPort(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const [, v6] = /^\[([^\]]{1,50})\](?::\d{1,5})?$/.exec(text) ?? [];
  const [, v4] = /^([\d.]{7,15}):\d{1,5}$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? text;
  return isIP(address) === 0 ? undefined : address;
}
