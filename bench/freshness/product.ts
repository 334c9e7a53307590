import type { ChatId } from "../../src/domain/chat-id.ts";
import type { DueContact } from "../../src/domain/lookup/due-contact.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import { planRefresh, type RefreshPolicy } from "../../src/domain/refresh/refresh-policy.ts";
import { agedShare, expiringUrlStep, toIntervalMs } from "../../src/domain/refresh/refresh-step.ts";
import { createDueHeap, type DueHeap } from "./due-heap.ts";
import { ticksPerDay, type Look, type Schedule } from "./simulate.ts";

const tickMs = 86_400_000 / ticksPerDay;

/**
 * What the product does: `planRefresh` says when a contact is due and with which step. Of those that are due the steps below 0
 * come first, the lowest of them before the others; then whoever is latest in relation to the interval of its step. Each step is a
 * queue by the moment at which its contacts are due, and only the heads are compared: those behind them are less late. A share
 * of each tick's calls is for those by age.
 */
export function createProduct(contacts: number, policy: RefreshPolicy): Schedule {
  const firstSeenAt: (Date | undefined)[] = Array.from({ length: contacts });
  const changes = new Uint16Array(contacts);
  const queues = new Map<number, DueHeap>();
  let forUrls = 0;
  /** Ascending. */
  let steps: number[] = [];

  const getQueue = (step: number) => {
    const known = queues.get(step);
    if (known) return known;
    const queue = createDueHeap();
    queues.set(step, queue);
    steps = [...queues.keys()].sort((a, b) => a - b);
    return queue;
  };

  /** The queue whose head is next, of all or of those by age; undefined: nothing is due. */
  const findNext = (nowMs: number, fromStep = -Infinity) => {
    let next: DueHeap | undefined;
    let latest = -Infinity;
    for (const step of steps) {
      if (step < fromStep) continue;
      const queue = getQueue(step);
      const lateMs = nowMs - queue.firstAtMs();
      if (lateMs < 0) continue;
      if (step < 0) return queue;
      const lateness = lateMs / toIntervalMs(step);
      if (lateness <= latest) continue;
      latest = lateness;
      next = queue;
    }
    return next;
  };

  return {
    choose(at, calls) {
      const chosen: number[] = [];
      const chooseUpTo = (most: number, fromStep?: number) => {
        while (chosen.length < most) {
          const queue = findNext(at * tickMs, fromStep);
          if (queue === undefined) break;
          chosen.push(queue.pop());
          if (queue === queues.get(expiringUrlStep)) forUrls += 1;
        }
      };
      chooseUpTo(Math.floor(calls * agedShare), 0);
      chooseUpTo(calls);
      return chosen;
    },
    looked(look) {
      const { contact, at, hasChanged } = look;
      const askedAt = new Date(at * tickMs);
      const due = toDueContact(contact, firstSeenAt[contact], changes[contact]!);
      const refresh = planRefresh(due, toDecision(look), askedAt, policy);
      firstSeenAt[contact] ??= askedAt;
      if (hasChanged) changes[contact]! += 1;
      if (refresh !== undefined && refresh !== "never")
        getQueue(refresh.step).push(contact, refresh.at.getTime());
    },
    countForUrls: () => forUrls,
  };
}

/** The version of the avatar that was seen last, and of another one: more than two are never told apart. */
const [knownVersion, otherVersion] = ["/known", "/other"];

function toDueContact(contact: number, firstSeenAt: Date | undefined, changes: number): DueContact {
  return {
    // Ids begin at 1, and contacts that came in together have ids in a row: the jitter goes by them.
    contactId: contact + 1,
    chatId: "79000000001@c.us" as ChatId,
    attempts: 0,
    past: {
      status: firstSeenAt === undefined ? "unknown" : "present",
      firstSeenAt,
      changes,
      version: firstSeenAt === undefined ? undefined : knownVersion,
      refreshStep: undefined,
    },
  };
}

function toDecision({ hasChanged, urlExpiresAt }: Look): ContactDecision {
  return {
    kind: "answer",
    status: "present",
    avatar: {
      kind: "seen",
      url: "",
      urlExpiresAt: new Date(urlExpiresAt * tickMs),
      version: hasChanged ? otherVersion : knownVersion,
    },
    note: undefined,
  };
}
