import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { drop, onAnswer, onFailure, rule } from "../../src/domain/trouble/blame.ts";
import { createBlameState, listOpen, type BlameState } from "../../src/domain/trouble/blame-state.ts";
import type { Finding } from "../../src/domain/trouble/finding.ts";
import { toHold } from "../../src/domain/trouble/hold.ts";
import type { Ground, Suspect } from "../../src/domain/trouble/suspect.ts";
import { toHoldReason } from "../support/suspects.ts";

const policy = { probeBaseMs: 15_000, probeMaxMs: 600_000 };
const grounds = ["silence", "failure", "unauthorized", "not-found", "not-authorized"] as const;
const works: Finding = { kind: "works" };
const trouble: Finding = { kind: "trouble", hold: toHold("blocked", policy) };
const silent: Finding = { kind: "silent", ground: "failure" };
const untold: Finding = { kind: "untold" };

const toSuspect = (contactId: number, at: number, ground: Ground): Suspect => ({
  contactId,
  kind: "user",
  sentAt: at,
  endedAt: at,
  ground,
  hold: toHold(toHoldReason(ground), policy),
});

function fail(
  grounds: readonly Ground[],
  at = 1_000,
  state: BlameState<Suspect> = createBlameState(),
): BlameState<Suspect> {
  return grounds.reduce((state, ground, id) => onFailure(state, toSuspect(id, at, ground)).state, state);
}

/** What a ruling does to a state: the reason of the hold, or how many are charged, how many wait and until when. */
function describeRuling(state: BlameState<Suspect>, finding: Finding, now: number): string {
  const { state: next, ruling } = rule(state, finding, now);
  if (ruling.kind === "hold") return `hold: ${ruling.hold.reason}`;
  if (ruling.suspects.length > 0) return `charge ${ruling.suspects.length}`;
  return `wait ${Math.min(...next.open.map(({ lookAt }) => lookAt)) - now} ms`;
}

/** A ruling on failures that were charged at once, among answers to later calls: none of them is open. */
function ruleOnCluster(finding: Finding, isAnsweredMeanwhile: boolean): string {
  const answered = onAnswer(
    createBlameState<Suspect>(),
    { contactId: 99, kind: "user", sentAt: 900 },
    900,
  ).state;
  const state = fail(Array(19).fill("silence"), 800, answered);
  expect(listOpen(state)).toEqual([]);
  const asked = isAnsweredMeanwhile
    ? onAnswer(state, { contactId: 98, kind: "user", sentAt: 950 }, 950).state
    : state;
  return describeRuling(asked, finding, 1_000);
}

describe("the table of rulings", () => {
  const sign: Ground[] = ["unauthorized"];
  const alike: Ground[] = ["failure"];
  const unlike: Ground[] = ["silence"];
  const unlikeOfFive: Ground[] = Array(5).fill("silence");

  test.each<[string, Finding, Ground[], string]>([
    ["a sign, the state works", works, sign, "wait 2000 ms"],
    ["no answer, the state works", works, unlike, "charge 1"],
    ["a sign, the state tells of trouble", trouble, sign, "hold: blocked"],
    ["no answer, the state tells of trouble", trouble, unlike, "hold: blocked"],
    ["a sign, the state is not answered", silent, sign, "hold: unauthorized"],
    ["no answer, the state fails alike", silent, alike, "hold: failing"],
    ["no answer, the state fails in another way", silent, unlike, "wait 15000 ms"],
    ["no answer of five, the state fails in another way", silent, unlikeOfFive, "hold: timing-out"],
    ["a sign, the look tells nothing", untold, sign, "wait 15000 ms"],
    ["no answer, the look tells nothing", untold, unlike, "wait 15000 ms"],
  ])("%s", (_, finding, grounds, ruling) => {
    expect(describeRuling(fail(grounds), finding, 3_000)).toBe(ruling);
  });

  test("a sign is charged where the state still works 2 s later", () => {
    const { state } = rule(fail(sign), works, 3_000);
    expect(describeRuling(state, works, 4_999)).toBe("wait 1 ms");
    expect(describeRuling(state, works, 5_000)).toBe("charge 1");
  });

  const streak: Ground[] = ["not-authorized", "not-authorized", "not-authorized"];
  const numbers: Ground[] = Array(10).fill("silence");

  test.each([works, untold])("a streak holds where the table would not: %j", (finding) => {
    expect(describeRuling(fail(streak), finding, 1_000)).toBe("hold: not-authorized");
    expect(describeRuling(fail(streak.slice(1)), finding, 1_000)).toMatch(/^wait/);
  });

  test.each([works, untold])("numbers hold where the table would not: %j", (finding) => {
    expect(describeRuling(fail(numbers), finding, 1_000)).toBe("hold: timing-out");
    expect(describeRuling(fail(numbers.slice(1)), finding, 1_000)).not.toMatch(/^hold/);
  });

  test.each([works, trouble, silent, untold])("a cluster holds with nothing open: %j", (finding) => {
    expect(ruleOnCluster(finding, false)).toMatch(/^hold/);
    expect(ruleOnCluster(finding, true).startsWith("hold")).toBe(finding.kind === "works");
  });
});

test("no transition changes the record that it was given", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("answer" as const), contactId: fc.nat(9), back: fc.nat(3_000) }),
    fc.record({
      kind: fc.constant("fail" as const),
      contactId: fc.nat(9),
      back: fc.nat(3_000),
      ground: fc.constantFrom<Ground>(...grounds),
    }),
    fc.record({
      kind: fc.constant("rule" as const),
      finding: fc.constantFrom(works, trouble, silent, untold),
    }),
    fc.record({ kind: fc.constant("drop" as const) }),
  );
  const perform = (
    state: BlameState<Suspect>,
    next: typeof step extends fc.Arbitrary<infer T> ? T : never,
    now: number,
  ) => {
    if (next.kind === "answer") {
      return onAnswer(state, { contactId: next.contactId, kind: "user", sentAt: now - next.back }, now).state;
    }
    if (next.kind === "fail") {
      const suspect = { ...toSuspect(next.contactId, now, next.ground), sentAt: now - next.back };
      return onFailure(state, suspect).state;
    }
    return next.kind === "rule" ? rule(state, next.finding, now).state : drop(state, now).state;
  };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let state = createBlameState<Suspect>();
      for (const [index, next] of steps.entries()) {
        const before = structuredClone(state);
        const after = perform(state, next, 10_000 + 700 * index);
        expect(state).toEqual(before);
        state = after;
      }
    }),
  );
});
