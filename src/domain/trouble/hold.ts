import { assertNever } from "../../lib/errors.ts";
import type { ChatKind } from "../chat-kind.ts";
import type { ChatId } from "../chat-id.ts";
import type { InstanceOutcome } from "../outcome.ts";

export const holdReasons = [
  "unauthorized",
  "not-found",
  "starting",
  "not-authorized",
  "blocked",
  "expired",
  "deleted",
  "quota-exhausted",
  "correspondents-exhausted",
  "failing",
  "timing-out",
  "users-timing-out",
  "groups-timing-out",
  "lids-timing-out",
  "throttled",
  "token-unreadable",
] as const;
export type HoldReason = (typeof holdReasons)[number];

/** Why and for how long an instance is left alone. The wait doubles with each hold in a row, up to `maxMs`. */
export interface Hold {
  readonly reason: HoldReason;
  readonly baseMs: number;
  readonly maxMs: number;
  /** What happened, for people. */
  readonly text: string;
  /** The chats that may be asked all the same. Other people's ids: never log them. */
  readonly allowedChatIds?: readonly ChatId[];
}

/** The waits between two probes of a held instance: the first one, and the longest. */
export interface ProbePolicy {
  readonly probeBaseMs: number;
  readonly probeMaxMs: number;
}

interface HoldRule {
  readonly text: string;
  /** The advice to a person; undefined where waiting is enough. */
  readonly advice: string | undefined;
}

const nextMonth = "wait for the 1st of next month (UTC), or change the plan in GREEN-API's console";

const rules: Record<HoldReason, HoldRule> = {
  unauthorized: {
    text: "the provider refuses the instance's token",
    advice:
      "check the instance's id, token and URL in GREEN-API's console, then: avatars instance add ID --url URL --token T",
  },
  "not-found": {
    text: "the provider knows no such instance or path",
    advice: "check the instance's id and URL in GREEN-API's console",
  },
  // Up to 5 minutes, says the vendor.
  starting: { text: "the instance is starting", advice: undefined },
  "not-authorized": {
    text: "the instance is logged out of WhatsApp, or still starting",
    advice: "scan the QR code in GREEN-API's console to log it in again",
  },
  blocked: {
    text: "the instance's WhatsApp account is blocked",
    advice: "see the instance in GREEN-API's console",
  },
  expired: { text: "the instance is expired", advice: "pay for the instance in GREEN-API's console" },
  deleted: { text: "the instance is deleted", advice: "remove it here: avatars instance remove ID" },
  "quota-exhausted": { text: "the instance's monthly quota is spent", advice: nextMonth },
  "correspondents-exhausted": {
    text: "the plan's few chats of this month are used up, and only they may be asked",
    advice: nextMonth,
  },
  failing: { text: "the provider fails call after call", advice: undefined },
  "timing-out": { text: "call after call is not answered in time", advice: undefined },
  "users-timing-out": { text: "users time out, groups answer", advice: undefined },
  "groups-timing-out": { text: "groups time out, users answer", advice: undefined },
  "lids-timing-out": { text: "privacy ids (@lid) time out, other chats answer", advice: undefined },
  throttled: { text: "the provider asks for fewer calls, however few they are", advice: undefined },
  "token-unreadable": {
    text: "the stored token cannot be read: it is of another AVATARS_SECRET_KEY, or for another host",
    advice:
      "start with the key it was stored with, or store it anew: avatars instance add ID --url URL --token T",
  },
};

/** The holds of one kind of chat: the others may be asked all the same. */
export const heldKinds: Partial<Record<HoldReason, ChatKind>> = {
  "users-timing-out": "user",
  "groups-timing-out": "group",
  "lids-timing-out": "lid",
};

/**
 * The hold of one kind that is silent while others are answered; the given hold where it is for something else, or where none of
 * those is answered that the reason speaks of.
 */
export function narrowHold(hold: Hold, kind: ChatKind, answered: readonly ChatKind[]): Hold {
  if (hold.reason !== "timing-out" || answered.length === 0) return hold;
  if (kind === "user" && !answered.includes("group")) return hold;
  if (kind === "group" && !answered.includes("user")) return hold;
  const reason = ({ user: "users-timing-out", group: "groups-timing-out", lid: "lids-timing-out" } as const)[
    kind
  ];
  return { ...hold, reason, text: rules[reason].text };
}

/** A hold that is probed at growing intervals. */
export function toHold(reason: HoldReason, { probeBaseMs, probeMaxMs }: ProbePolicy): Hold {
  return { reason, baseMs: probeBaseMs, maxMs: Math.max(probeBaseMs, probeMaxMs), text: rules[reason].text };
}

/** The hold that an instance-level outcome asks for. Pure. */
export function holdFor(outcome: InstanceOutcome, now: Date, policy: ProbePolicy): Hold {
  switch (outcome.kind) {
    case "quota-exhausted": {
      if (outcome.quota === "method") return untilReset(toHold("quota-exhausted", policy), now);
      const hold = untilReset(toHold("correspondents-exhausted", policy), now);
      return { ...hold, allowedChatIds: outcome.allowedChatIds };
    }
    case "unauthorized": {
      const hold = toHold(outcome.kind, policy);
      return { ...hold, text: `${hold.text} (HTTP ${outcome.status})` };
    }
    case "throttled":
    case "not-found":
    case "starting":
    case "not-authorized":
    case "blocked":
    case "expired":
    case "deleted":
      return toHold(outcome.kind, policy);
    default:
      return assertNever(outcome);
  }
}

/** The hold for an instance that getStateInstance says does not work: `starting` and `sleepMode` end by themselves. */
export function holdForState(state: string, verdict: "waits" | "needs-person", policy: ProbePolicy): Hold {
  if (verdict === "waits") return toHold("starting", policy);
  return toHold(/^blocked$/i.test(state) ? "blocked" : "not-authorized", policy);
}

/** A hold in words for a person: what happened, and what to do where waiting does not help. */
export function explainHold(reason: string): { readonly text: string; readonly advice: string | undefined } {
  const rule = rules[reason as HoldReason] as HoldRule | undefined;
  return rule ?? { text: reason, advice: undefined };
}

/** A provider whose clock is behind, or who is late with the reset, must not cost another month. */
const resetGraceMs = 60 * 60_000;

/** Quotas are reset on the 1st (provider contract, Budget); UTC is assumed. */
function untilReset(hold: Hold, now: Date): Hold {
  const startOf = (month: number) => Date.UTC(now.getUTCFullYear(), month, 1);
  if (now.getTime() - startOf(now.getUTCMonth()) < resetGraceMs) return hold;
  const waitMs = startOf(now.getUTCMonth() + 1) - now.getTime();
  return { ...hold, baseMs: waitMs, maxMs: waitMs };
}
