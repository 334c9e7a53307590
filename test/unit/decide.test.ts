import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backoffMs, decide, isClear, type RetryPolicy } from "../../src/domain/decide.ts";
import type { CallOutcome, ChatOutcome, InstanceOutcome, Outcome } from "../../src/domain/outcome.ts";
import { instanceOutcomes } from "../support/outcomes.ts";

const policy: RetryPolicy = { maxAttempts: 5, retryBaseMs: 2_000, retryMaxMs: 300_000 };
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

const failures: [ChatOutcome | CallOutcome, string][] = [
  [{ kind: "chat-timeout", scope: "chat" }, "WhatsApp did not answer"],
  [{ kind: "client-closed", scope: "chat" }, "HTTP 499"],
  [{ kind: "server-error", scope: "call", status: 503 }, "HTTP 503"],
  [{ kind: "network-error", scope: "call", code: "ECONNREFUSED" }, "ECONNREFUSED"],
  [{ kind: "deadline", scope: "call", afterMs: 70_000 }, "within 70 s"],
  [{ kind: "unclear", scope: "call", status: 400, excerpt: "what?" }, "HTTP 400): what?"],
];

describe("a decision", () => {
  test.each(answers)("on %j is a clear answer, whatever was spent before", (outcome, expected) => {
    for (const attempts of [0, 4, 100]) {
      expect(decide(outcome, attempts, policy, now, 0.5)).toEqual({
        contact: { kind: "answer", ...expected },
        hold: undefined,
      });
    }
  });

  test.each(failures)("on %j is another try while attempts are left, then to give up", (outcome, text) => {
    const error = expect.stringContaining(text);
    const decided = [0, 1, 2, 3, 4, 5].map((spent) => decide(outcome, spent, policy, now, 0.5));
    expect(decided.map(({ hold }) => hold)).toEqual(Array(6).fill(undefined));
    expect(decided.map(({ contact }) => contact)).toEqual([
      { kind: "retry", dueInMs: 1_000, error },
      { kind: "retry", dueInMs: 2_000, error },
      { kind: "retry", dueInMs: 4_000, error },
      { kind: "retry", dueInMs: 8_000, error },
      { kind: "give-up", error },
      { kind: "give-up", error },
    ]);
  });

  test.each(instanceOutcomes)("on $kind puts the contact back and holds the instance", (outcome) => {
    const { contact, hold } = decide(outcome, 3, policy, now, 0.5);
    expect(hold).toMatchObject({ reason: outcome.kind });
    expect(contact).toEqual({ kind: "release", error: hold?.text });
  });

  test("covers every kind of outcome in this file", () => {
    const kinds = [...answers, ...failures].map(([outcome]) => outcome.kind);
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
    };
    const covered = new Set([...kinds, ...instanceOutcomes.map((outcome) => outcome.kind)]);
    expect([...covered].toSorted()).toEqual(Object.keys(all).toSorted());
  });
});

const policies = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 50 }),
  retryBaseMs: fc.integer({ min: 0, max: 100_000 }),
  retryMaxMs: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
});
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const failure = fc.constantFrom(...failures.map(([outcome]) => outcome));
const instanceOutcome: fc.Arbitrary<InstanceOutcome> = fc.constantFrom(...instanceOutcomes);

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
            const { contact } = decide(outcome, attempts, rules, now, at);
            attempts += 1;
            if (contact.kind === "give-up") break;
            expect(contact.kind).toBe("retry");
          }
          expect(attempts).toBe(rules.maxAttempts);
        },
      ),
    );
  });

  test("trouble of the instance never spends an attempt, even the last one, and always holds", () => {
    fc.assert(
      fc.property(policies, instanceOutcome, fc.nat(1000), random, (rules, outcome, attempts, at) => {
        const { contact, hold } = decide(outcome, attempts, rules, now, at);
        expect(contact.kind).toBe("release");
        expect(hold?.baseMs).toBeGreaterThanOrEqual(0);
        expect(hold?.maxMs).toBeGreaterThanOrEqual(hold?.baseMs ?? Infinity);
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
    const outcome = fc.oneof(fc.constantFrom(...answers.map(([answer]) => answer)), failure, instanceOutcome);
    fc.assert(
      fc.property(policies, outcome, fc.nat(60), random, (rules, seen, attempts, at) => {
        const { contact } = decide(seen, attempts, rules, now, at);
        const touches = contact.kind === "answer" && contact.avatar.kind !== "keep";
        expect(touches).toBe(seen.kind === "present" || seen.kind === "absent");
      }),
    );
  });
});

test("unknown and unreachable are no clear answers", () => {
  expect(
    (["present", "absent", "hidden", "invalid", "unreachable", "unknown"] as const).filter(isClear),
  ).toEqual(["present", "absent", "hidden", "invalid"]);
});
