import { assertNever } from "../../lib/errors.ts";
import { holdFor, toHold, type Hold, type ProbePolicy } from "../trouble/hold.ts";
import type { CallOutcome, ChatOutcome, InstanceOutcome, Outcome } from "../outcome.ts";
import type { Ground } from "../trouble/suspect.ts";
import type { ClearStatus } from "../contact-status.ts";

export interface RetryPolicy {
  /** Calls spent on one contact before it is `unreachable`. */
  readonly maxAttempts: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
}

/** What the answer says of the avatar itself. `keep`: nothing, so the last good one stays as it is (I5). */
export type AvatarFinding =
  | {
      readonly kind: "seen";
      /** Undefined: the answer had the image alone. */
      readonly url: string | undefined;
      /** The image, where the answer had it. */
      readonly base64?: string | undefined;
      readonly urlExpiresAt: Date | undefined;
      readonly version: string;
    }
  | { readonly kind: "none" }
  | { readonly kind: "keep" };

/** What becomes of the contact. `retry` and `give-up` spend an attempt, `release` does not (I6). */
export type ContactDecision =
  | {
      readonly kind: "answer";
      readonly status: ClearStatus;
      readonly avatar: AvatarFinding;
      readonly note: string | undefined;
    }
  | ContactFailure
  | { readonly kind: "release"; readonly error: string | undefined };

/** The lookup is charged to the contact. */
export type ContactFailure =
  | { readonly kind: "retry"; readonly dueInMs: number; readonly error: string }
  | { readonly kind: "give-up"; readonly error: string };

/** Whom an outcome is charged to. */
export type Decision =
  /** The contact is answered, and the instance works. */
  | { readonly kind: "answer"; readonly contact: Extract<ContactDecision, { kind: "answer" }> }
  /** The contact's fault or the instance's: `failure` once the instance is proven fine, else `hold` (blame.ts). */
  | {
      readonly kind: "suspect";
      readonly ground: Ground;
      readonly failure: ContactFailure;
      readonly hold: Hold;
    }
  /** Surely the instance's fault: its calls stop, and its contacts wait. */
  | { readonly kind: "instance"; readonly hold: Hold }
  /** Too many calls: slower from now on. `hold` for a provider that refuses the slowest pace, too. */
  | {
      readonly kind: "throttled";
      readonly by: "provider" | "whatsapp";
      readonly retryAfterMs: number | undefined;
      readonly hold: Hold;
    }
  /** There was no call: the contact is due again at once, as if it had never been taken. */
  | { readonly kind: "release"; readonly contact: Extract<ContactDecision, { kind: "release" }> };

export type DecisionOf<Kind extends Decision["kind"]> = Extract<Decision, { kind: Kind }>;

/**
 * What happens next, from what one call told us. Pure.
 * @param attempts calls already spent on the contact, without this one
 * @param random uniform in [0, 1)
 */
export function decide(
  outcome: Outcome,
  attempts: number,
  policy: RetryPolicy & ProbePolicy,
  now: Date,
  random: number,
): Decision {
  if (outcome.kind === "not-sent") return { kind: "release", contact: { kind: "release", error: undefined } };
  const fail = (error: string) => retryOrGiveUp(error, attempts, policy, random);
  if (outcome.scope === "instance") return decideInstance(outcome, holdFor(outcome, now, policy), fail);
  const contact = toAnswer(outcome);
  if (contact) return { kind: "answer", contact };
  const ground = toGround(outcome);
  const hold = toHold(ground === "silence" ? "timing-out" : "failing", policy);
  return { kind: "suspect", ground, failure: fail(describeFailure(outcome)), hold };
}

function decideInstance(
  outcome: InstanceOutcome,
  hold: Hold,
  fail: (error: string) => ContactFailure,
): Decision {
  switch (outcome.kind) {
    case "throttled":
      return { kind: "throttled", by: outcome.by, retryAfterMs: outcome.retryAfterMs, hold };
    // A single chat may be answered so by a fault of the provider's, while all others are served.
    case "unauthorized":
    case "not-found":
    case "not-authorized": {
      const failure = fail(`for this contact alone: ${hold.text}`);
      return { kind: "suspect", ground: outcome.kind, failure, hold };
    }
    case "starting":
    case "blocked":
    case "expired":
    case "deleted":
    case "quota-exhausted":
      return { kind: "instance", hold };
    default:
      return assertNever(outcome);
  }
}

/** Did nothing come in time, or did something come that is no answer? */
function toGround({ kind }: ChatOutcome | CallOutcome): "silence" | "failure" {
  return kind === "chat-timeout" || kind === "client-closed" || kind === "deadline" ? "silence" : "failure";
}

function toAnswer(
  outcome: ChatOutcome | CallOutcome,
): Extract<ContactDecision, { kind: "answer" }> | undefined {
  switch (outcome.kind) {
    case "present": {
      const { url, base64, urlExpiresAt, version } = outcome;
      return {
        kind: "answer",
        status: "present",
        avatar: { kind: "seen", url, base64, urlExpiresAt, version },
        note: undefined,
      };
    }
    case "absent":
      return { kind: "answer", status: "absent", avatar: { kind: "none" }, note: undefined };
    case "hidden": {
      const note = outcome.told
        ? undefined
        : "the provider does not tell whether there is none or it is hidden";
      return { kind: "answer", status: "hidden", avatar: { kind: "keep" }, note };
    }
    case "invalid": {
      const note = "the provider does not accept this chat id";
      return { kind: "answer", status: "invalid", avatar: { kind: "keep" }, note };
    }
    default:
      return undefined;
  }
}

function retryOrGiveUp(error: string, attempts: number, policy: RetryPolicy, random: number): ContactFailure {
  const spent = attempts + 1;
  if (spent >= policy.maxAttempts) return { kind: "give-up", error };
  return { kind: "retry", dueInMs: backoffMs(spent, policy, random), error };
}

/**
 * Exponential backoff with full jitter: uniform between 0 and the ceiling, which doubles per attempt.
 * @param spent calls spent so far, at least 1
 */
export function backoffMs(spent: number, policy: RetryPolicy, random: number): number {
  const ceilingMs = Math.min(policy.retryMaxMs, policy.retryBaseMs * 2 ** Math.min(spent - 1, 40));
  return Math.floor(random * ceilingMs);
}

function describeFailure(outcome: ChatOutcome | CallOutcome): string {
  switch (outcome.kind) {
    case "chat-timeout":
      return "WhatsApp did not answer the provider in time";
    case "client-closed":
      return "the provider saw the call hung up (HTTP 499)";
    case "server-error":
      return `the provider failed (HTTP ${outcome.status})`;
    case "network-error":
      return `no answer from the provider (${outcome.code})`;
    case "deadline":
      return `no answer from the provider within ${Math.round(outcome.afterMs / 1000)} s`;
    case "unclear":
      return `an answer not understood (HTTP ${outcome.status}): ${outcome.excerpt}`;
    case "present":
    case "absent":
    case "hidden":
    case "invalid":
      return outcome.kind;
    default:
      return assertNever(outcome);
  }
}
