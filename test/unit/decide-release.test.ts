import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decideRelease,
  followRelease,
  releaseLeadMs,
  type ReleaseFacts,
} from "../../src/domain/resync/decide-release.ts";

const now = Date.UTC(2026, 10, 27, 2);
const inMs = (ms: number) => new Date(now + ms);
/** Contacts are released so far ahead of their calls. */
const aheadMs = 2 * releaseLeadMs;

const night: ReleaseFacts = {
  kind: "night",
  endsAt: undefined,
  mostContacts: undefined,
  released: 0,
  underWay: 0,
  waiting: 0,
  nextReleaseAt: inMs(0),
  instanceState: "active",
  mayBeProbed: false,
  isCarePaused: false,
  callsPerSecond: 10,
  share: 1,
};

describe("a run may release", () => {
  test.each<[string, Partial<ReleaseFacts>, object]>([
    ["the calls of the next 12 seconds at first", {}, { kind: "release", limit: 120, everyMs: 100 }],
    ["its share of them", { share: 0.3 }, { kind: "release", limit: 36 }],
    [
      "no more for the time that it was not seen to",
      { nextReleaseAt: inMs(-3_600_000) },
      { kind: "release", limit: 120 },
    ],
    ["what comes on top of those released", { nextReleaseAt: inMs(5_000) }, { kind: "release", limit: 70 }],
    [
      "nothing while half of those are to come",
      { nextReleaseAt: inMs(6_500) },
      { kind: "wait", untilMs: now + 1_000 },
    ],
    ["nothing while the last ones are not asked", { waiting: 120 }, { kind: "wait", untilMs: now + 1_000 }],
    ["so many that no more wait", { waiting: 100 }, { kind: "release", limit: 20 }],
    ["as many as ever while calls take long", { underWay: 900 }, { kind: "release", limit: 120 }],
    [
      "one, to put a hold to the test",
      { instanceState: "held", mayBeProbed: true },
      { kind: "release", limit: 1 },
    ],
    [
      "no other while that is out",
      { instanceState: "held", mayBeProbed: true, underWay: 1 },
      { kind: "wait" },
    ],
    ["what its limit leaves", { mostContacts: 7, released: 2 }, { kind: "release", limit: 5 }],
    ["one, where the next is far ahead", { callsPerSecond: 0.1, share: 0.1 }, { kind: "release", limit: 1 }],
    ["nothing of a share of 0", { share: 0 }, { kind: "wait", untilMs: now + 15_000 }],
    ["nothing while its instance is held", { instanceState: "held" }, { kind: "wait" }],
    ["nothing while its instance is paused", { instanceState: "paused" }, { kind: "wait" }],
    ["until its window is over", { endsAt: inMs(1) }, { kind: "release", limit: 120 }],
  ])("%s", (_, facts, expected) => {
    expect(decideRelease({ ...night, ...facts }, now)).toMatchObject(expected);
  });
});

describe("a run is over", () => {
  test.each<[string, Partial<ReleaseFacts>, string]>([
    ["with its window", { endsAt: inMs(0) }, "window-over"],
    ["with its window, whatever is under way", { endsAt: inMs(-1), underWay: 9 }, "window-over"],
    ["with its window, while its instance is held", { endsAt: inMs(0), instanceState: "held" }, "held"],
    ["with its window, while its instance is paused", { endsAt: inMs(0), instanceState: "paused" }, "paused"],
    ["with its limit", { mostContacts: 5, released: 5 }, "limit"],
    [
      "with its limit, of a held instance too",
      { mostContacts: 5, released: 5, instanceState: "held" },
      "limit",
    ],
  ])("%s", (_, facts, by) => {
    expect(decideRelease({ ...night, ...facts }, now)).toEqual({ kind: "end", by });
  });

  test("not at its limit while some are under way", () => {
    expect(decideRelease({ ...night, mostContacts: 5, released: 5, underWay: 1 }, now)).toMatchObject({
      kind: "wait",
    });
  });

  test("not while somebody else has locked what is due", () => {
    const release = { kind: "release", limit: 120, everyMs: 100 } as const;
    expect(followRelease(night, release, { found: 3, released: 0 }, now)).toMatchObject({ kind: "next" });
  });

  test.each([
    ["night", 0, { kind: "end", by: "done" }],
    ["manual", 0, { kind: "end", by: "done" }],
    ["trickle", 0, { kind: "next", nextReleaseAtMs: now + releaseLeadMs + 60_000 }],
    ["night", 1, { kind: "next", nextReleaseAtMs: now + releaseLeadMs + 5_000 }],
  ] as const)("when nothing is due, of a %s with %d under way: %o", (kind, underWay, expected) => {
    const release = { kind: "release", limit: 120, everyMs: 100 } as const;
    expect(followRelease({ ...night, kind, underWay }, release, { found: 0, released: 0 }, now)).toEqual(
      expected,
    );
  });
});

interface World {
  readonly facts: Partial<ReleaseFacts>;
  /** ms from one look to the next, used in turn. */
  readonly gaps: readonly number[];
  readonly looks: number;
  readonly due: number;
  /** Released contacts that are asked per second, and answered at once. */
  readonly answersPerSecond: number;
}

interface Look {
  readonly atMs: number;
  readonly released: number;
  readonly underWay: number;
  readonly endedBy: string | undefined;
}

/** The looks of one run after another, with the clock and the calls of an instance, as store/resync/release-refreshes.ts has them. */
function simulate({ facts: given, gaps, looks, due, answersPerSecond }: World): Look[] {
  let { nextReleaseAt, released: releasedInAll } = night;
  let left = due;
  let underWay = 0;
  let nextCallAt = now;
  let at = now;
  const seen: Look[] = [];
  for (let look = 0; look < looks; look += 1) {
    at += gaps[look % gaps.length] ?? 0;
    // A call slot that nobody used is lost.
    if (underWay === 0) nextCallAt = Math.max(nextCallAt, at);
    for (; underWay > 0 && nextCallAt <= at; underWay -= 1) nextCallAt += 1_000 / answersPerSecond;
    if (nextReleaseAt.getTime() > at + releaseLeadMs) continue;
    const counts = { released: releasedInAll, underWay, waiting: underWay };
    const facts: ReleaseFacts = { ...night, ...given, nextReleaseAt, ...counts };
    const decision = decideRelease(facts, at);
    if (decision.kind === "end") {
      seen.push({ atMs: at, released: 0, underWay, endedBy: decision.by });
      return seen;
    }
    if (decision.kind === "wait") {
      nextReleaseAt = new Date(decision.untilMs + releaseLeadMs);
      continue;
    }
    const released = Math.min(left, decision.limit);
    const next = followRelease(facts, decision, { found: released, released }, at);
    left -= released;
    if (underWay === 0) nextCallAt = Math.max(nextCallAt, at);
    underWay += released;
    seen.push({ atMs: at, released, underWay, endedBy: next.kind === "end" ? next.by : undefined });
    if (next.kind === "end") return seen;
    releasedInAll += released;
    nextReleaseAt = new Date(next.nextReleaseAtMs);
  }
  return seen;
}

const sum = (looks: readonly Look[]) => looks.reduce((all, { released }) => all + released, 0);

const rates = fc.record({
  callsPerSecond: fc.double({ min: 0.1, max: 900, noNaN: true }),
  share: fc.double({ min: 0.01, max: 1, noNaN: true }),
});
/** From many processes at once to none for minutes. */
const anyGaps = fc.array(fc.oneof(fc.integer({ min: 0, max: 2_500 }), fc.integer({ min: 0, max: 300_000 })), {
  minLength: 1,
  maxLength: 40,
});

describe("from look to look", () => {
  test("never more than the share is released over any time, but for what is ahead", () => {
    fc.assert(
      fc.property(
        rates,
        anyGaps,
        fc.double({ min: 0.05, max: 2, noNaN: true }),
        fc.integer({ min: 0, max: 20_000 }),
        (rate, gaps, quickness, due) => {
          const answersPerSecond = rate.callsPerSecond * quickness;
          const looks = simulate({ facts: rate, gaps, looks: 120, due, answersPerSecond });
          const perMs = (rate.callsPerSecond * rate.share) / 1_000;
          // Moments are cut to whole ms, once a look.
          const excess = looks.map((first, index) => {
            let released = 0;
            return Math.max(
              ...looks.slice(index).map((look, place) => {
                released += look.released;
                return released - (look.atMs - first.atMs + aheadMs + place) * perMs;
              }),
            );
          });
          expect(Math.max(0, ...excess)).toBeLessThanOrEqual(1 + 1e-6);
          expect(Math.max(0, ...looks.map(({ underWay }) => underWay))).toBeLessThanOrEqual(
            Math.max(1, Math.ceil(perMs * aheadMs)),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test("99 % of the share is released at least, when there are enough and they are answered promptly", () => {
    fc.assert(
      fc.property(
        rates,
        fc.array(fc.integer({ min: 1_800, max: 2_300 }), { minLength: 1, maxLength: 40 }),
        (rate, gaps) => {
          const looks = 3_000;
          const answersPerSecond = rate.callsPerSecond;
          const released = sum(simulate({ facts: rate, gaps, looks, due: Infinity, answersPerSecond }));
          const elapsedMs = Array.from({ length: looks }, (_, look) => gaps[look % gaps.length] ?? 0).reduce(
            (all, gap) => all + gap,
          );
          // One more or less where there are hardly any.
          const expected = (elapsedMs * rate.callsPerSecond * rate.share) / 1_000;
          expect(released).toBeGreaterThanOrEqual(Math.floor(expected * 0.99) - 1);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("no more are released than the limit says, and the run ends with it", () => {
    fc.assert(
      fc.property(
        rates,
        fc.integer({ min: 1, max: 2_000 }),
        fc.integer({ min: 0, max: 3_000 }),
        (rate, mostContacts, due) => {
          const looks = simulate({
            facts: { ...rate, callsPerSecond: rate.callsPerSecond + 100, share: 1, mostContacts },
            gaps: [2_000],
            looks: 2_000,
            due,
            answersPerSecond: rate.callsPerSecond + 100,
          });
          expect(sum(looks)).toBe(Math.min(mostContacts, due));
          expect(looks.at(-1)?.endedBy).toBe(due < mostContacts ? "done" : "limit");
        },
      ),
    );
  });

  test("nothing is released from the end of the window on, nor of an instance that may not be called", () => {
    fc.assert(
      fc.property(
        rates,
        anyGaps,
        fc.integer({ min: 0, max: 600_000 }),
        fc.constantFrom("active", "held", "paused"),
        (rate, gaps, windowMs, instanceState) => {
          const looks = simulate({
            facts: { ...rate, endsAt: inMs(windowMs), instanceState },
            gaps: [...gaps, 2_000],
            looks: 2_000,
            due: Infinity,
            answersPerSecond: rate.callsPerSecond,
          });
          for (const { atMs, released } of looks) {
            if (atMs >= now + windowMs || instanceState !== "active") expect(released).toBe(0);
          }
          const isOver = looks.at(-1)?.endedBy;
          expect([undefined, instanceState === "active" ? "window-over" : instanceState]).toContain(isOver);
        },
      ),
    );
  });

  test("all that are due are released once and answered before a run is done, however slow the answers", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 5, max: 500 }), (due, answers) => {
        const facts = { callsPerSecond: 100 };
        const looks = simulate({ facts, gaps: [2_100], looks: 5_000, due, answersPerSecond: answers });
        expect(sum(looks)).toBe(due);
        expect(looks.at(-1)).toMatchObject({ endedBy: "done", underWay: 0 });
      }),
    );
  });
});
