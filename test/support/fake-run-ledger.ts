import type { ChatId } from "../../src/domain/chat-id.ts";
import type { ClaimedContact, ClaimResult } from "../../src/domain/lookup/claim.ts";
import { slotSpacingMs } from "../../src/domain/pace/pacer.ts";
import { noPast } from "./refresh.ts";
import type { ClaimFence, ClaimRequest, Reservation, RunLedger } from "../../src/domain/ledger/run-ledger.ts";

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
  /** The instance, as the next claim finds it. */
  instance: FakeInstance;
}

export interface FakeInstance {
  readonly requestsPerSecond: number;
  readonly maxInFlight: number;
  readonly probing?: boolean;
}

const marginMs = 10;

/** Due contacts and slots in memory, for an instance run: the run's port, not the ledger's rules. */
export function createFakeRunLedger(instance: FakeInstance, due: number): FakeRunLedger {
  let nextContactId = 0;
  const offsetMs = 1e9;
  let nextCallAtMs = 0;
  const slots = (calls: number): Reservation => {
    const databaseNowMs = performance.now() + offsetMs;
    const slotsFromMs = Math.max(nextCallAtMs, databaseNowMs);
    const { requestsPerSecond } = ledger.instance;
    const spacingMs = slotSpacingMs({ requestsPerSecond, marginMs });
    nextCallAtMs = slotsFromMs + calls * spacingMs;
    return { databaseNowMs, slotsFromMs, slotsUntilMs: slotsFromMs + (calls - 1) * spacingMs };
  };
  const ledger: FakeRunLedger = {
    due,
    claims: [],
    released: [],
    refuse: undefined,
    beforeClaim: () => undefined,
    reserve: slots,
    instance,
    async claimDueContacts(request) {
      ledger.claims.push(request);
      await ledger.beforeClaim();
      if (ledger.refuse !== undefined && ledger.refuse !== "claimed") return { kind: ledger.refuse };
      const { probing, requestsPerSecond } = ledger.instance;
      const window = Math.ceil((requestsPerSecond * (request.windowMs ?? Infinity)) / 1000);
      const count = Math.min(ledger.due, request.limit, probing ? 1 : window);
      if (count === 0 && request.limit > 0) return { kind: "idle" };
      ledger.due -= count;
      const contacts: ClaimedContact[] = Array.from({ length: count }, () => {
        nextContactId += 1;
        return {
          contactId: nextContactId,
          chatId: `${79e9 + nextContactId}@c.us` as ChatId,
          attempts: 0,
          past: noPast,
        };
      });
      return {
        kind: "claimed",
        claim: {
          instance: {
            apiUrl: "http://x",
            sealedToken: "sealed",
            probing: false,
            marginMs,
            ...ledger.instance,
          },
          contacts,
          ...slots(count),
        },
      };
    },
    async reserveCalls({ calls }) {
      const { requestsPerSecond } = ledger.instance;
      const reservation = ledger.reserve(calls);
      return reservation && { ...reservation, pace: { requestsPerSecond, marginMs } };
    },
    async releaseClaims(claims) {
      ledger.released.push(...claims);
    },
    saveLookups: async () => ({ setAside: new Set(), left: new Set(), imageWanted: new Set() }),
    extendClaims: async () => undefined,
    holdInstance: async () => undefined,
    putOff: async () => undefined,
    prolongHold: async () => undefined,
    endHold: async () => "not-held",
    throttle: async () => undefined,
    reserveStateCall: async () => 0,
    noteState: async () => undefined,
  };
  return ledger;
}
