import { BlockList, isIP } from "node:net";

/** Ranges of addresses that were named. */
export interface NetworkList {
  /** How many were named. */
  readonly size: number;
  /** Is this address, without brackets or a zone, in one of them? */
  has(address: string): boolean;
}

const mostNetworks = 100;
const expected =
  "networks with commas between them, such as 10.0.0.0/8, 192.168.7.20/32 or fd00::/8; not all addresses, as /0 would be";

/** Reads ranges in CIDR notation. A range of all addresses is none: it would name nothing. */
export function parseNetworks(
  text: string,
): { readonly ok: true; readonly value: NetworkList } | { readonly ok: false; readonly expected: string } {
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  const list = new BlockList();
  if (entries.length > mostNetworks || !entries.every((entry) => addNetwork(list, entry)))
    return { ok: false, expected };
  return {
    ok: true,
    value: {
      size: entries.length,
      has(address) {
        const version = isIP(address);
        return version !== 0 && list.check(address, version === 4 ? "ipv4" : "ipv6");
      },
    },
  };
}

/** False: it is none. */
function addNetwork(list: BlockList, entry: string): boolean {
  const [address = "", bits = "", ...others] = entry.split("/");
  const version = isIP(address);
  if (version === 0 || address.includes("%") || others.length > 0) return false;
  if (!/^[1-9]\d{0,2}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) return false;
  list.addSubnet(address, Number(bits), version === 4 ? "ipv4" : "ipv6");
  return true;
}
