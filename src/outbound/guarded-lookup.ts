import { lookup, type LookupAddress, type LookupAllOptions } from "node:dns";
import type { LookupFunction } from "node:net";
import { isPublicAddress } from "./address-guard.ts";
import { RefusedAddressError } from "./refused-address-error.ts";

/** Finds all addresses of a host, as `lookup` of node:dns does. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * A `lookup` for `net.connect`. It hands over the very addresses that it has checked, so that no second answer of a name server
 * can replace them. One that may not be reached, unless told one that is not public, refuses the host as a whole: with those beside it the connection would be a matter
 * of luck. An address in place of a name never comes here: `createGuardedConnector` checks it.
 */
export function createGuardedLookup(
  resolve: Resolve = lookup,
  mayReach: (address: string) => boolean = isPublicAddress,
): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, "", 0);
      const [first] = addresses;
      if (first === undefined || !addresses.every(({ address }) => mayReach(address)))
        return callback(new RefusedAddressError(), "", 0);
      if (options.all === true) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}
