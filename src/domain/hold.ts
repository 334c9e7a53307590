import { assertNever } from "../lib/errors.ts";
import type { InstanceOutcome } from "./outcome.ts";

export const holdReasons = [
  "throttled",
  "unauthorized",
  "not-found",
  "starting",
  "not-authorized",
  "blocked",
  "expired",
  "deleted",
  "quota-exhausted",
  "token-unreadable",
] as const;
export type HoldReason = (typeof holdReasons)[number];

/** Why and for how long an instance is left alone. The wait doubles with each hold in a row, up to `maxMs`. */
export interface Hold {
  readonly reason: HoldReason;
  readonly baseMs: number;
  readonly maxMs: number;
  /** For people: what happened. */
  readonly text: string;
}

interface HoldRule {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly text: string;
  /** What a person has to do; undefined where waiting is enough. */
  readonly advice: string | undefined;
}

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

const rules: Record<HoldReason, HoldRule> = {
  throttled: {
    baseMs: secondMs,
    maxMs: minuteMs,
    text: "the provider asks for fewer calls",
    advice: undefined,
  },
  // Up to 5 minutes, says the vendor.
  starting: {
    baseMs: 10 * secondMs,
    maxMs: minuteMs,
    text: "the instance is starting",
    advice: undefined,
  },
  unauthorized: {
    baseMs: minuteMs,
    maxMs: hourMs,
    text: "the provider refuses the instance's token",
    advice:
      "check the instance's id, token and URL in the console, then: avatars instance add ID --url URL --token T",
  },
  "not-found": {
    baseMs: 10 * secondMs,
    maxMs: 10 * minuteMs,
    text: "the provider knows no such instance or path",
    advice: "check the instance's id and URL in the console",
  },
  "not-authorized": {
    baseMs: 30 * secondMs,
    maxMs: 10 * minuteMs,
    text: "the instance is logged out of WhatsApp, or still starting",
    advice: "scan the QR code in the console to log it in again",
  },
  blocked: {
    baseMs: 10 * minuteMs,
    maxMs: hourMs,
    text: "the instance's WhatsApp account is blocked",
    advice: "see the instance in the console",
  },
  expired: {
    baseMs: 10 * minuteMs,
    maxMs: hourMs,
    text: "the instance is expired",
    advice: "pay for the instance in the console",
  },
  deleted: {
    baseMs: hourMs,
    maxMs: hourMs,
    text: "the instance is deleted",
    advice: "remove it here: avatars instance remove ID",
  },
  "quota-exhausted": {
    baseMs: hourMs,
    maxMs: hourMs,
    text: "the instance's monthly quota is spent",
    advice: "wait for the 1st of next month (UTC), or change the plan in the console",
  },
  "token-unreadable": {
    baseMs: minuteMs,
    maxMs: hourMs,
    text: "the stored token cannot be read with this AVATARS_SECRET_KEY",
    advice:
      "start with the key it was stored with, or store it anew: avatars instance add ID --url URL --token T",
  },
};

/** The hold that an instance-level outcome asks for. Pure. */
export function holdFor(outcome: InstanceOutcome, now: Date): Hold {
  const { baseMs, maxMs, text } = rules[outcome.kind];
  const hold = { reason: outcome.kind, baseMs, maxMs, text };
  switch (outcome.kind) {
    case "throttled": {
      // A wait of 0 (a date that has passed) would never get longer by doubling.
      const waitMs = Math.max(outcome.retryAfterMs ?? 0, baseMs);
      return { ...hold, baseMs: waitMs, maxMs: Math.max(waitMs, maxMs) };
    }
    case "quota-exhausted": {
      const untilResetMs = nextMonthStartsAt(now).getTime() - now.getTime();
      return { ...hold, baseMs: untilResetMs, maxMs: untilResetMs };
    }
    case "unauthorized":
      return { ...hold, text: `${text} (HTTP ${outcome.status})` };
    case "not-found":
    case "starting":
    case "not-authorized":
    case "blocked":
    case "expired":
    case "deleted":
      return hold;
    default:
      return assertNever(outcome);
  }
}

/** The hold for a token that this process cannot open. */
export function holdForUnreadableToken(): Hold {
  const { baseMs, maxMs, text } = rules["token-unreadable"];
  return { reason: "token-unreadable", baseMs, maxMs, text };
}

/** What a held instance means to a person: what happened, and what to do where waiting does not help. */
export function explainHold(reason: string): { readonly text: string; readonly advice: string | undefined } {
  const rule = rules[reason as HoldReason] as HoldRule | undefined;
  return rule ?? { text: reason, advice: undefined };
}

/** Quotas are reset on the 1st (provider contract, Budget); UTC is assumed. */
function nextMonthStartsAt(now: Date): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1));
}
