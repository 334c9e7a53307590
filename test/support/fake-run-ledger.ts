import { toChatKind } from "../../src/domain/chat-kind.ts";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { HandOver, HeldLease, LeaseRefusal } from "../../src/domain/ledger/lease.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { noPast } from "./refresh.ts";

export interface FakeRunLedger extends RunLedger {
  /** Contacts that are due, in the order of their ids. */
  readonly due: QueuedContact[];
  readonly handedOver: HandOver[];
  /** How far each renewal has told that the run has come. */
  readonly renewed: HeldLease[];
  /** How often it was looked how the instance is set. */
  looks: number;
  /** How many contacts of a queue each look has asked for. */
  readonly limits: number[];
  /** Why the instance may not be called: told to who takes its lease, or renews it. */
  refuse: LeaseRefusal | undefined;
  /** Awaited by each look before it answers. */
  beforeRead: () => Promise<void> | void;
  /** The instance, as the next renewal finds it. */
  instance: FakeInstance;
}

export interface FakeInstance {
  readonly requestsPerSecond: number;
  readonly maxInFlight: number;
  readonly probing?: boolean;
  readonly allowedChatIds?: readonly ChatId[];
}

/** A contact that waits for its first lookup, in the turn that its id tells. */
export function toQueued(contactId: number, more: Partial<QueuedContact> = {}): QueuedContact {
  return {
    contactId,
    chatId: `${79e9 + contactId}@c.us` as ChatId,
    attempts: 0,
    past: noPast,
    priority: 1,
    isTurned: true,
    place: { by: contactId, contactId },
    dueAtUs: contactId,
    ...more,
  };
}

const isAfter = ({ place }: QueuedContact, after: QueuedContact["place"]) =>
  place.by > after.by || (place.by === after.by && place.contactId > after.contactId);

/** Due contacts and a lease in memory, for an instance run: the run's port, not the ledger's rules. */
export function createFakeRunLedger(instance: FakeInstance, due: number): FakeRunLedger {
  let epoch = 0;
  const toInstance = () => ({
    apiUrl: "http://x",
    sealedToken: "sealed",
    marginMs: 10,
    probing: false,
    heldKind: undefined,
    allowedChatIds: undefined,
    interactiveOnly: false,
    ...ledger.instance,
  });
  const ledger: FakeRunLedger = {
    due: Array.from({ length: due }, (_, index) => toQueued(index + 1)),
    handedOver: [],
    renewed: [],
    looks: 0,
    limits: [],
    refuse: undefined,
    beforeRead: () => undefined,
    instance,
    async takeLease() {
      if (ledger.refuse !== undefined) return { kind: ledger.refuse };
      epoch += 1;
      const left = { callsFromMs: 0, recentCallsMs: [], handedOverAtMs: undefined };
      return { kind: "taken", epoch, instance: toInstance(), ...left, databaseNowMs: Date.now() };
    },
    async renewLeases(_owner, held) {
      ledger.renewed.push(...held);
      const leases = held.map(({ instanceId }) => {
        if (ledger.refuse === "gone" || ledger.refuse === "busy")
          return { instanceId, kind: "lost" } as const;
        return { instanceId, kind: "renewed", instance: toInstance(), refusal: ledger.refuse } as const;
      });
      return { leases, databaseNowMs: Date.now() };
    },
    async lookAtLease(_owner, { instanceId }) {
      ledger.looks += 1;
      if (ledger.refuse === "gone" || ledger.refuse === "busy") return { instanceId, kind: "lost" };
      return { instanceId, kind: "renewed", instance: toInstance(), refusal: ledger.refuse };
    },
    async handOver(_owner, lease) {
      ledger.handedOver.push(lease);
    },
    listLeases: async () => [],
    endDeadLeases: async () => [],
    async readDue(requests) {
      ledger.limits.push(...new Set(requests.map(({ limit }) => limit)));
      await ledger.beforeRead();
      return requests.map(({ priority, isTurned, after, limit }) =>
        ledger.due
          .filter((contact) => contact.priority === priority && contact.isTurned === isTurned)
          .filter((contact) => isAfter(contact, after))
          .slice(0, limit),
      );
    },
    async readHeld(_id, wish, but, limit) {
      const isWanted = (chatId: ChatId) =>
        "chatIds" in wish ? wish.chatIds.includes(chatId) : (toChatKind(chatId) === wish.kind) === wish.isOf;
      return ledger.due
        .filter(({ chatId, contactId }) => isWanted(chatId) && !but.includes(contactId))
        .slice(0, limit);
    },
    readArrivals: async () => ({ horizon: "1", arrivals: [] }),
    noteArrivals: async () => undefined,
    async saveLookups(records) {
      for (const { contactId } of records) {
        const at = ledger.due.findIndex((contact) => contact.contactId === contactId);
        if (at >= 0) ledger.due.splice(at, 1);
      }
      return { setAside: new Set(), left: new Set(), imageWanted: new Set() };
    },
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
