import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backoffMs, decide } from "../../src/domain/lookup/decide.ts";
import { isClear } from "../../src/domain/contact-status.ts";
import type { HoldReason } from "../../src/domain/trouble/hold.ts";
import type { ChatOutcome, Outcome } from "../../src/domain/outcome.ts";
import type { Ground } from "../../src/domain/trouble/suspect.ts";
import { instanceOutcomes } from "../support/outcomes.ts";

const policy = {
  maxAttempts: 5,
  retryBaseMs: 2_000,
  retryMaxMs: 300_000,
  probeBaseMs: 15_000,
  probeMaxMs: 600_000,
};
const now = new Date("2026-08-15T12:00:00Z");
const urlExpiresAt = new Date("2026-08-20T00:00:00Z");

const answers: [ChatOutcome, object][] = [
  [
    { kind: "present", scope: "chat", url: "https://pps/a.jpg?oe=1", urlExpiresAt, version: "/a.jpg" },
    {
      status: "present",
      avatar: { kind: "seen", url: "https://pps/a.jpg?oe=1", urlExpiresAt, version: "/a.jpg" },
      note: undefined,
    },
  ],
  [
    { kind: "absent", scope: "chat" },
    { status: "absent", avatar: { kind: "none" }, note: undefined },
  ],
  [
    { kind: "hidden", scope: "chat", told: true },
    { status: "hidden", avatar: { kind: "keep" }, note: undefined },
  ],
  [
    { kind: "hidden", scope: "chat", told: false },
    { status: "hidden", avatar: { kind: "keep" }, note: expect.stringContaining("does not tell") },
  ],
  [
    { kind: "invalid", scope: "chat" },
    { status: "invalid", avatar: { kind: "keep" }, note: expect.stringContaining("does not accept") },
  ],
];

/** What may be the contact's fault or the instance's: its ground, the hold it asks for, and words of its error. */
const failures: [Outcome, Ground, HoldReason, string][] = [
  [{ kind: "chat-timeout", scope: "chat" }, "silence", "timing-out", "WhatsApp did not answer"],
  [{ kind: "client-closed", scope: "chat" }, "silence", "timing-out", "HTTP 499"],
  [{ kind: "deadline", scope: "call", afterMs: 70_000 }, "silence", "timing-out", "within 70 s"],
  [{ kind: "server-error", scope: "call", status: 503 }, "failure", "failing", "HTTP 503"],
  [{ kind: "network-error", scope: "call", code: "ECONNREFUSED" }, "failure", "failing", "ECONNREFUSED"],
  [
    { kind: "unclear", scope: "call", status: 400, excerpt: "what?" },
    "failure",
    "failing",
    "HTTP 400): what?",
  ],
  [
    { kind: "unauthorized", scope: "instance", status: 403 },
    "unauthorized",
    "unauthorized",
    "alone: .*HTTP 403",
  ],
  [{ kind: "not-found", scope: "instance" }, "not-found", "not-found", "alone: .*no such instance"],
  [{ kind: "not-authorized", scope: "instance" }, "not-authorized", "not-authorized", "alone: .*logged out"],
];
const definite = instanceOutcomes.filter(
  ({ kind }) => kind !== "throttled" && !failures.some(([outcome]) => outcome.kind === kind),
);

describe("a decision", () => {
  test.each(answers)("on %j is a clear answer, whatever was spent before", (outcome, expected) => {
    for (const attempts of [0, 4, 100]) {
      expect(decide(outcome, attempts, policy, now, 0.5)).toEqual({
        kind: "answer",
        contact: { kind: "answer", ...expected },
      });
    }
  });

  test.each(failures)(
    "on %j is suspect: a %s, for which the instance is held as %s, or the contact asked again while attempts are left",
    (outcome, ground, reason, text) => {
      const error = expect.stringMatching(text.replace(/[()?]/g, "\\$&"));
      const decided = [0, 1, 2, 3, 4, 5].map((spent) => decide(outcome, spent, policy, now, 0.5));
      const failed = decided.map((decision) => (decision.kind === "suspect" ? decision : undefined));
      expect(failed.map((decision) => decision?.ground)).toEqual(Array(6).fill(ground));
      expect(failed.map((decision) => decision?.hold.reason)).toEqual(Array(6).fill(reason));
      expect(failed.map((decision) => decision?.failure)).toEqual([
        { kind: "retry", dueInMs: 1_000, error },
        { kind: "retry", dueInMs: 2_000, error },
        { kind: "retry", dueInMs: 4_000, error },
        { kind: "retry", dueInMs: 8_000, error },
        { kind: "give-up", error },
        { kind: "give-up", error },
      ]);
    },
  );

  test.each(definite)("on $kind holds the instance, whatever the contact has spent", (outcome) => {
    for (const attempts of [0, 4, 100]) {
      const hold = expect.objectContaining({ reason: outcome.kind });
      expect(decide(outcome, attempts, policy, now, 0.5)).toEqual({ kind: "instance", hold });
    }
  });

  test("on a refusal for the rate is to go slower", () => {
    const outcome = { kind: "throttled", scope: "instance", retryAfterMs: 3_000, by: "whatsapp" } as const;
    const hold = expect.objectContaining({ reason: "throttled" });
    const expected = { kind: "throttled", by: "whatsapp", retryAfterMs: 3_000, hold };
    expect(decide(outcome, 4, policy, now, 0.5)).toEqual(expected);
  });

  test.each([0, 4, 100])(
    "on a call that was not sent is to have the contact due again, after %i",
    (spent) => {
      const contact = { kind: "release", error: undefined };
      expect(decide({ kind: "not-sent" }, spent, policy, now, 0.5)).toEqual({ kind: "release", contact });
    },
  );

  test("covers every kind of outcome in this file", () => {
    const kinds = ["not-sent", ...[...answers, ...failures].map(([outcome]) => outcome.kind)];
    const all: Record<Outcome["kind"], true> = {
      present: true,
      absent: true,
      hidden: true,
      invalid: true,
      "chat-timeout": true,
      "client-closed": true,
      throttled: true,
      unauthorized: true,
      "not-found": true,
      starting: true,
      "not-authorized": true,
      blocked: true,
      expired: true,
      deleted: true,
      "quota-exhausted": true,
      "server-error": true,
      "network-error": true,
      deadline: true,
      unclear: true,
      "not-sent": true,
    };
    const covered = new Set([...kinds, ...instanceOutcomes.map((outcome) => outcome.kind)]);
    expect([...covered].toSorted()).toEqual(Object.keys(all).toSorted());
  });
});

const policies = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 50 }),
  retryBaseMs: fc.integer({ min: 0, max: 100_000 }),
  retryMaxMs: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  probeBaseMs: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  probeMaxMs: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
});
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const failure = fc.constantFrom(...failures.map(([outcome]) => outcome));
const trouble = fc.constantFrom(...definite);

describe("for any policy", () => {
  test("a contact that always fails is given up after exactly as many calls as are allowed", () => {
    fc.assert(
      fc.property(
        policies,
        fc.array(failure, { minLength: 60, maxLength: 60 }),
        random,
        (rules, seen, at) => {
          let attempts = 0;
          for (const outcome of seen) {
            const decision = decide(outcome, attempts, rules, now, at);
            const kind = decision.kind === "suspect" ? decision.failure.kind : decision.kind;
            attempts += 1;
            if (kind === "give-up") break;
            expect(kind).toBe("retry");
          }
          expect(attempts).toBe(rules.maxAttempts);
        },
      ),
    );
  });

  test("trouble that is surely the instance's charges nobody, even at the last attempt", () => {
    fc.assert(
      fc.property(policies, trouble, fc.nat(1000), random, (rules, outcome, attempts, at) => {
        const decision = decide(outcome, attempts, rules, now, at);
        if (decision.kind !== "instance") throw new Error(decision.kind);
        const { baseMs, maxMs } = decision.hold;
        expect(baseMs).toBeGreaterThan(0);
        expect(maxMs).toBeGreaterThanOrEqual(baseMs);
      }),
    );
  });

  test("the backoff lies between 0 and a ceiling that doubles per attempt up to the maximum", () => {
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 2_000 }), random, (rules, spent, at) => {
        const ceiling = Math.min(rules.retryMaxMs, rules.retryBaseMs * 2 ** (spent - 1));
        const waitMs = backoffMs(spent, rules, at);
        expect(waitMs).toBeGreaterThanOrEqual(0);
        expect(waitMs).toBeLessThanOrEqual(ceiling || 0);
        // Full jitter: the whole range is used.
        expect(backoffMs(spent, rules, 0)).toBe(0);
        if (Number.isFinite(ceiling)) {
          expect(backoffMs(spent, rules, 1 - 2 ** -53)).toBeGreaterThanOrEqual(Math.floor(ceiling) - 1);
        }
      }),
    );
  });

  test("only present and absent touch the avatar", () => {
    const answer = fc.constantFrom(...answers.map(([outcome]) => outcome));
    fc.assert(
      fc.property(policies, answer, fc.nat(60), random, (rules, outcome, attempts, at) => {
        const decision = decide(outcome, attempts, rules, now, at);
        const touches = decision.kind === "answer" && decision.contact.avatar.kind !== "keep";
        expect(touches).toBe(outcome.kind === "present" || outcome.kind === "absent");
      }),
    );
  });
});

test("unknown and unreachable are no clear answers", () => {
  expect(
    (["present", "absent", "hidden", "invalid", "unreachable", "unknown"] as const).filter(isClear),
  ).toEqual(["present", "absent", "hidden", "invalid"]);
});
