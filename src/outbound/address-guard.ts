import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * Azure's platform answers there for the virtual machine that asks, though the range is a public one:
 * https://learn.microsoft.com/en-us/azure/virtual-network/what-is-ip-address-168-63-129-16.
 */
const azurePlatform = "168.63.129.16";

/**
 * Is `address`, an IPv4 or IPv6 literal without brackets, one of the public internet? False for all that leads elsewhere: private,
 * shared, local, reserved and multicast ranges, and IPv6 addresses that carry an IPv4 one (mapped, NAT64, 6to4, Teredo), whatever
 * they carry. False also for what is no address, or has a zone.
 */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0 || address.includes("%") || address === azurePlatform) return false;
  const parsed = ipaddr.parse(address);
  // Of IPv6 only 2000::/3 is handed out; ranges are known by name within it, and not outside (RFC 4291, 2.4).
  if (parsed instanceof ipaddr.IPv6 && !parsed.match(globalUnicast)) return false;
  return parsed.range() === "unicast";
}

const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3");
