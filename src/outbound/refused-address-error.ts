/** A host has an address that requests must not go to. Says neither host nor address: both come from outside. */
export class RefusedAddressError extends Error {
  override readonly name = "RefusedAddressError";
  readonly code = "ADDRESS_REFUSED";

  constructor() {
    super("the host has an address that is not public");
  }
}
