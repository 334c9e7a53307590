import fc from "fast-check";
import { expect, test } from "vitest";
import { chatKinds, type ChatKind } from "../../src/domain/chat-kind.ts";
import type { Ruling } from "../../src/domain/trouble/blame.ts";
import type { Finding } from "../../src/domain/trouble/finding.ts";
import { toHold } from "../../src/domain/trouble/hold.ts";
import { isSign, type Ground, type Suspect } from "../../src/domain/trouble/suspect.ts";
import { openBlame } from "../support/blame.ts";
import { toHoldReason } from "../support/suspects.ts";

const policy = { probeBaseMs: 15_000, probeMaxMs: 600_000 };
const grounds = ["silence", "failure", "unauthorized", "not-found", "not-authorized"] as const;
const works: Finding = { kind: "works" };
const findings: Finding[] = [
  works,
  { kind: "silent", ground: "silence" },
  { kind: "silent", ground: "failure" },
  { kind: "untold" },
  { kind: "trouble", hold: toHold("blocked", policy) },
];

/** A call that was sent. */
interface Sent {
  readonly contactId: number;
  readonly kind: ChatKind;
  readonly sentAt: number;
}
interface Failed extends Suspect {
  readonly call: Sent;
}
interface Answer {
  readonly kind: ChatKind;
  readonly sentAt: number;
  readonly cameAt: number;
}

const toKind = (contactId: number): ChatKind => chatKinds[contactId % 3] ?? "user";

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), contact: fc.nat(11) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      call: fc.nat(),
      result: fc.oneof(fc.constant("answer" as const), fc.constantFrom<Ground>(...grounds)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(4_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stop" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A lane as worker/trouble/breaker.ts drives it, with nobody asleep: each step is followed by the look that is due. */
function simulate(findings: readonly Finding[]) {
  let told = findings;
  const blame = openBlame<Failed>();
  const inFlight: Sent[] = [];
  const answers: Answer[] = [];
  const charged = new Map<Sent, number>();
  const released = new Set<Sent>();
  let now = 1_000_000;
  let looks = 0;
  let sawWorkAt = -Infinity;
  let wasLeftUntold = false;
  let droppedAt = -Infinity;

  function charge({ call, endedAt, ground }: Failed): void {
    expect(charged.has(call) || released.has(call)).toBe(false);
    charged.set(call, now);
    // While the instance is held, nobody pays.
    expect(call.sentAt).toBeGreaterThanOrEqual(droppedAt);
    const proof = answers.some(
      ({ kind, sentAt, cameAt }) =>
        sentAt >= call.sentAt &&
        (ground !== "silence" || kind === call.kind) &&
        (!isSign({ ground }) || cameAt >= endedAt),
    );
    const isBeside =
      ground === "silence" &&
      answers.some(
        ({ kind, sentAt, cameAt }) => kind !== call.kind && sentAt >= call.sentAt && cameAt <= endedAt,
      );
    // Where other kinds were answered the state proves nothing for a minute, or until a look that told nothing was made up for.
    const patienceMs = isBeside && !wasLeftUntold ? 60_000 : 0;
    expect(proof || (sawWorkAt >= now - 10_000 && now - endedAt >= patienceMs)).toBe(true);
  }

  function release({ call }: Failed): void {
    expect(charged.has(call) || released.has(call)).toBe(false);
    released.add(call);
  }

  function drop(): void {
    for (const suspect of blame.drop(now)) release(suspect);
    droppedAt = now;
    expect([...blame.open]).toEqual([]);
    expect(blame.lookAt()).toBeUndefined();
  }

  function carryOut(ruling: Ruling<Failed>): void {
    if (ruling.kind === "charge") ruling.suspects.forEach(charge);
    else drop();
  }

  function lookIfDue(): void {
    const dueAt = blame.lookAt();
    if (dueAt === undefined || dueAt > now) return;
    const isKnown = blame.isSeenWorking(now);
    const finding = isKnown ? works : (told[looks % told.length] ?? works);
    if (!isKnown) {
      looks += 1;
      if (finding.kind === "works") sawWorkAt = now;
      else wasLeftUntold = true;
    }
    carryOut(blame.rule(finding, now));
    // It never goes round in circles.
    expect(blame.lookAt() ?? Infinity).toBeGreaterThan(now);
  }

  function end(call: Sent, result: "answer" | Ground): void {
    if (result === "answer") {
      answers.push({ kind: call.kind, sentAt: call.sentAt, cameAt: now });
      blame.answered(call.contactId, call.sentAt, now, call.kind).forEach(charge);
      return;
    }
    const hold = toHold(toHoldReason(result), policy);
    const suspect: Failed = { ...call, call, endedAt: now, ground: result, hold };
    const fate = blame.failed(suspect);
    if (fate === "charge") charge(suspect);
    if (fate === "release") release(suspect);
  }

  function perform(next: Step): void {
    now += 1;
    if (next.kind === "send")
      inFlight.push({ contactId: next.contact, kind: toKind(next.contact), sentAt: now });
    if (next.kind === "wait") now += next.ms;
    if (next.kind === "stop") drop();
    if (next.kind === "end" && inFlight.length > 0) {
      const [call] = inFlight.splice(next.call % inFlight.length, 1);
      if (call) end(call, next.result);
    }
    lookIfDue();
  }

  return {
    perform,
    /** Waits until nothing is open, with a state that can be had. Fails when it takes for ever. */
    finish() {
      if (told.every(({ kind }) => kind === "untold" || kind === "silent")) told = [works];
      for (let rounds = 0; [...blame.open].length > 0; rounds += 1) {
        expect(rounds).toBeLessThan(1_000);
        perform({ kind: "wait", ms: 500 });
      }
    },
    countSettled: () => charged.size + released.size,
  };
}

test("whatever happens, a contact pays only when the instance is proven fine, and every failure is settled once", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 150 }),
      fc.array(fc.constantFrom(...findings), { minLength: 1, maxLength: 6 }),
      (steps, told) => {
        const lane = simulate(told);
        for (const next of steps) lane.perform(next);
        lane.finish();
        const failures = countFailures(steps);
        expect(lane.countSettled()).toBe(failures);
      },
    ),
    { numRuns: 1_000 },
  );
});

/** Steps that end a call, while there is one in flight. */
function countFailures(steps: readonly Step[]): number {
  const inFlight: number[] = [];
  let failures = 0;
  for (const next of steps) {
    if (next.kind === "send") inFlight.push(0);
    if (next.kind !== "end" || inFlight.length === 0) continue;
    inFlight.pop();
    if (next.result !== "answer") failures += 1;
  }
  return failures;
}

test("contacts that always fail come to their end where the state is always fine, and others are answered", () => {
  const attempts = 5;
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.constantFrom<Ground>(...grounds)), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 20 }),
      (fates, inParallel) => {
        const blame = openBlame<Suspect>();
        const spent = fates.map(() => 0);
        const isDone = (contactId: number) => (spent[contactId] ?? 0) >= attempts;
        let due = fates.map((_, contactId) => contactId);
        let now = 0;
        let isHeld = false;
        const charge = (suspects: readonly Suspect[]) => {
          for (const { contactId } of suspects) {
            spent[contactId]! += 1;
            if (!isDone(contactId)) due.push(contactId);
          }
        };
        const look = () => {
          const dueAt = blame.lookAt();
          if (dueAt === undefined || dueAt > now) return;
          const ruling = blame.rule(works, now);
          if (ruling.kind === "charge") return charge(ruling.suspects);
          isHeld = true;
          due = [...blame.drop(now).map(({ contactId }) => contactId), ...due];
        };
        for (let rounds = 0; due.length > 0 || [...blame.open].length > 0; rounds += 1) {
          expect(rounds).toBeLessThan(10_000);
          now += 100;
          // As breaker.ts does it: one probe, which pays when the state is fine.
          const calls = due.splice(0, isHeld ? 1 : inParallel);
          for (const contactId of calls) {
            const ground = fates[contactId];
            if (!ground) {
              isHeld = false;
              spent[contactId] = attempts;
              charge(blame.answered(contactId, now, now, toKind(contactId)));
              continue;
            }
            const hold = toHold(toHoldReason(ground), policy);
            const kind = toKind(contactId);
            const suspect: Suspect = { contactId, kind, sentAt: now, endedAt: now, ground, hold };
            if (isHeld || blame.failed(suspect) === "charge") charge([suspect]);
            look();
          }
          look();
        }
        expect(spent.filter((times) => times < attempts)).toEqual([]);
      },
    ),
  );
});
