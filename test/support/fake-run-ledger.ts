import type { ChatId } from "../../src/domain/chat-id.ts";
import type { ClaimedContact, ClaimResult } from "../../src/domain/claim.ts";
import type { ClaimFence, ClaimRequest, Reservation, RunLedger } from "../../src/domain/ledger.ts";

export interface FakeRunLedger extends RunLedger {
  /** Contacts that may still be claimed. */
  due: number;
  readonly claims: ClaimRequest[];
  readonly released: ClaimFence[];
  /** What the next claim answers instead of contacts. */
  refuse: ClaimResult["kind"] | undefined;
  /** Awaited by each claim before it answers. */
  beforeClaim: () => Promise<void> | void;
  /** Answers a reservation of slots; undefined: the instance may not be called. */
  reserve: (calls: number) => Reservation | undefined;
}

/** Due contacts and slots in memory, for an instance run: the run's port, not the ledger's rules. */
export function createFakeRunLedger(
  instance: { readonly requestsPerSecond: number; readonly maxInFlight: number; readonly probing?: boolean },
  due: number,
): FakeRunLedger {
  let nextContactId = 0;
  const offsetMs = 1e9;
  const slots = (calls: number): Reservation => {
    const databaseNowMs = performance.now() + offsetMs;
    return {
      databaseNowMs,
      slotsFromMs: databaseNowMs,
      slotsUntilMs: databaseNowMs + ((calls - 1) * 1000) / instance.requestsPerSecond,
    };
  };
  const ledger: FakeRunLedger = {
    due,
    claims: [],
    released: [],
    refuse: undefined,
    beforeClaim: () => undefined,
    reserve: slots,
    async claimDueContacts(request) {
      ledger.claims.push(request);
      await ledger.beforeClaim();
      if (ledger.refuse !== undefined && ledger.refuse !== "claimed") return { kind: ledger.refuse };
      const count = Math.min(ledger.due, instance.probing ? 1 : request.limit);
      if (count === 0) return { kind: "idle" };
      ledger.due -= count;
      const contacts: ClaimedContact[] = Array.from({ length: count }, () => {
        nextContactId += 1;
        return { contactId: nextContactId, chatId: `${79e9 + nextContactId}@c.us` as ChatId, attempts: 0 };
      });
      return {
        kind: "claimed",
        claim: {
          instance: { apiUrl: "http://x", sealedToken: "sealed", probing: false, ...instance },
          contacts,
          ...slots(count),
        },
      };
    },
    async reserveCalls({ calls }) {
      return ledger.reserve(calls);
    },
    async releaseClaims(claims) {
      ledger.released.push(...claims);
    },
    saveLookups: async () => undefined,
    extendClaims: async () => undefined,
    holdInstance: async () => undefined,
    endHold: async () => undefined,
  };
  return ledger;
}
