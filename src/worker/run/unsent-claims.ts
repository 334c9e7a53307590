import type { ClaimFence } from "../../domain/ledger/run-ledger.ts";
import type { ClaimedContact } from "../../domain/lookup/claim.ts";
import type { Lane } from "./lane.ts";

/** The contacts that a run has claimed and not sent yet; the lane has them, too, so that their claims are extended. */
export interface UnsentClaims {
  readonly size: number;
  add(contacts: readonly ClaimedContact[]): void;
  /** The contact's call is sent. */
  remove(contact: ClaimedContact): void;
  /** The run is over: removes and returns what is left, to be given back. */
  takeAll(): ClaimFence[];
}

export function createUnsentClaims(lane: Pick<Lane, "unsent">, runId: string): UnsentClaims {
  const fences = new Map<ClaimedContact, ClaimFence>();

  function remove(contact: ClaimedContact): void {
    const fence = fences.get(contact);
    if (fence) lane.unsent.delete(fence);
    fences.delete(contact);
  }

  return {
    get size() {
      return fences.size;
    },
    add(contacts) {
      for (const contact of contacts) {
        const fence = { contactId: contact.contactId, runId };
        fences.set(contact, fence);
        lane.unsent.add(fence);
      }
    },
    remove,
    takeAll() {
      const left = [...fences.values()];
      for (const contact of fences.keys()) remove(contact);
      return left;
    },
  };
}
