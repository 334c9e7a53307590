import { describe, expect, test } from "vitest";
import type { ChatKind } from "../../src/domain/chat-kind.ts";
import type { Finding } from "../../src/domain/trouble/finding.ts";
import { toHold } from "../../src/domain/trouble/hold.ts";
import type { Ground, Suspect } from "../../src/domain/trouble/suspect.ts";
import { openBlame, type Blame } from "../support/blame.ts";
import { toHoldReason } from "../support/suspects.ts";

const policy = { probeBaseMs: 15_000, probeMaxMs: 600_000 };
const works: Finding = { kind: "works" };
/** As lookups fail whose ground is `failure`. */
const silent: Finding = { kind: "silent", ground: "failure" };
const stalled: Finding = { kind: "silent", ground: "silence" };
const untold: Finding = { kind: "untold" };
const loggedOut: Finding = { kind: "trouble", hold: toHold("blocked", policy) };

function toSuspect(contactId: number, sentAt: number, endedAt: number, ground: Ground = "silence"): Suspect {
  return { contactId, kind: "user", sentAt, endedAt, ground, hold: toHold(toHoldReason(ground), policy) };
}

const ofKind = (contactId: number, at: number, kind: ChatKind, ground: Ground = "silence"): Suspect => ({
  ...toSuspect(contactId, at, at, ground),
  kind,
});

/** A user is silent and a group is answered, by turns. */
function tear(blame: Blame<Suspect>, users: number, from = 0): void {
  for (let id = 1; id <= users; id += 1) {
    expect(blame.failed(ofKind(id, from + 10 * id, "user"))).toBe("wait");
    expect(blame.answered(100 + id, from + 10 * id + 1, from + 10 * id + 2, "group")).toEqual([]);
  }
}

/** Lets `count` calls fail, each of another contact, sent and ended at `at`. */
function failMany(
  blame: Blame<Suspect>,
  count: number,
  at: number,
  options: { readonly ground?: Ground; readonly firstId?: number; readonly contacts?: number } = {},
): void {
  const { ground = "silence", firstId = 1, contacts = count } = options;
  for (let index = 0; index < count; index += 1) {
    blame.failed(toSuspect(firstId + (index % contacts), at, at, ground));
  }
}

const rule = (blame: Blame<Suspect>, finding: Finding, now: number) => {
  const ruling = blame.rule(finding, now);
  return ruling.kind === "charge" ? ruling.suspects.map(({ contactId }) => contactId) : ruling.hold.reason;
};
const idsOf = (suspects: Iterable<Suspect>) => [...suspects].map(({ contactId }) => contactId);

describe("a failed lookup", () => {
  test("is the contact's fault at once when a call that was sent no earlier has been answered", () => {
    const blame = openBlame<Suspect>();
    blame.answered(1, 1_000, 1_100);
    expect(blame.failed(toSuspect(2, 1_000, 70_000))).toBe("charge");
    expect(blame.failed(toSuspect(3, 900, 70_000, "failure"))).toBe("charge");
    expect(blame.lookAt()).toBeUndefined();
  });

  test("waits when only calls before it have been answered, and is the contact's fault with the next answer", () => {
    const blame = openBlame<Suspect>();
    blame.answered(1, 1_000, 1_100);
    expect(blame.failed(toSuspect(2, 1_001, 1_200))).toBe("wait");
    expect(idsOf(blame.answered(3, 1_000, 1_300))).toEqual([]);
    expect(idsOf(blame.answered(4, 1_001, 1_400))).toEqual([2]);
    expect(idsOf(blame.open)).toEqual([]);
    expect(blame.lookAt()).toBeUndefined();
  });

  test("without an answer for 2 s has the state looked at, and is the contact's fault if that is fine", () => {
    const blame = openBlame<Suspect>();
    blame.failed(toSuspect(1, 0, 100, "failure"));
    blame.failed(toSuspect(2, 10, 300, "failure"));
    expect(blame.lookAt()).toBe(2_100);
    expect(rule(blame, works, 2_200)).toEqual([1, 2]);
    expect(idsOf(blame.open)).toEqual([]);
  });

  test.each([
    ["silence", stalled, "timing-out"],
    ["failure", silent, "failing"],
    ["unauthorized", silent, "unauthorized"],
    ["unauthorized", stalled, "unauthorized"],
  ] as const)(
    "by %s holds the instance when the state is answered no better: %j",
    (ground, finding, reason) => {
      const blame = openBlame<Suspect>();
      blame.failed(toSuspect(1, 0, 100, ground));
      expect(rule(blame, finding, 2_100)).toBe(reason);
    },
  );

  test.each([
    ["silence", silent],
    ["failure", stalled],
    ["failure", untold],
    ["unauthorized", untold],
  ] as const)("by %s waits when the state tells nothing of it: %j", (ground, finding) => {
    const blame = openBlame<Suspect>();
    blame.failed(toSuspect(1, 0, 100, ground));
    expect(rule(blame, finding, 2_100)).toEqual([]);
    expect(idsOf(blame.open)).toEqual([1]);
    expect(rule(blame, works, blame.lookAt() ?? 0)).toEqual([1]);
  });

  test("has the state looked at again after 15 s, 30 s and so on up to four minutes while nobody can tell", () => {
    const blame = openBlame<Suspect>();
    blame.failed(toSuspect(1, 0, 100));
    const waits: number[] = [];
    for (let now = 2_100, looks = 0; looks < 6; looks += 1) {
      rule(blame, untold, now);
      const dueAt = blame.lookAt() ?? Number.NaN;
      waits.push((dueAt - now) / 1_000);
      now = dueAt;
    }
    expect(waits).toEqual([15, 30, 60, 120, 240, 240]);
    // Others may be answered meanwhile.
    expect(idsOf(blame.answered(2, 500_000, 500_100))).toEqual([1]);
  });

  test("and others of five contacts hold the instance when nobody answers for the state, for whatever reason", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 5, 100);
    expect(rule(blame, silent, 2_100)).toBe("timing-out");
    const another = openBlame<Suspect>();
    failMany(another, 9, 100);
    expect(rule(another, untold, 2_100)).toEqual([]);
    failMany(another, 1, 3_000, { firstId: 50 });
    expect(another.lookAt()).toBe(5_000);
    expect(rule(another, untold, 5_000)).toBe("timing-out");
  });

  test("holds the instance for what its state says", () => {
    const blame = openBlame<Suspect>();
    blame.failed(toSuspect(1, 0, 100));
    expect(rule(blame, loggedOut, 2_100)).toBe("blocked");
  });

  test("that an answer has explained meanwhile holds nothing, whatever the state says", () => {
    const blame = openBlame<Suspect>();
    blame.failed(toSuspect(1, 0, 100, "not-authorized"));
    blame.answered(2, 50, 200);
    expect(rule(blame, loggedOut, 1_000)).toEqual([]);
    expect(rule(blame, silent, 1_000)).toEqual([]);
    expect(rule(blame, untold, 1_000)).toEqual([]);
  });
});

describe("failures in numbers", () => {
  test("ten without an answer are looked into at once, and are the instance's fault even if its state is fine", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 9, 100);
    expect(blame.lookAt()).toBe(2_100);
    failMany(blame, 1, 200, { ground: "failure", firstId: 50 });
    expect(blame.lookAt()).toBe(-Infinity);
    expect(rule(blame, works, 200)).toBe("timing-out");
  });

  test("are named after what most of them are", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 4, 100);
    failMany(blame, 6, 100, { ground: "failure", firstId: 50 });
    expect(rule(blame, works, 200)).toBe("failing");
  });

  test("of a few contacts are theirs", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 12, 100, { contacts: 4 });
    expect(rule(blame, works, 200)).toHaveLength(12);
  });

  test("sixteen of the last twenty are the instance's fault although others are answered in between", () => {
    const blame = openBlame<Suspect>();
    for (let round = 0; round < 4; round += 1) {
      blame.answered(1_000 + round, 100 + round, 100 + round);
      failMany(blame, round < 3 ? 4 : 3, 100 + round, { firstId: 10 * round });
    }
    expect(blame.lookAt()).toBeUndefined();
    expect(blame.failed(toSuspect(99, 103, 200))).toBe("charge");
    expect(blame.lookAt()).toBe(-Infinity);
    expect(rule(blame, works, 200)).toBe("timing-out");
  });

  test("sixteen of the last twenty hold nothing by bad news of the state when an answer came while it was asked for", () => {
    for (const finding of [loggedOut, silent, untold]) {
      const blame = openBlame<Suspect>();
      blame.answered(1_000, 100, 100);
      for (let id = 1; id <= 18; id += 1) blame.failed(toSuspect(id, 50, 200));
      expect(blame.lookAt()).toBe(-Infinity);
      expect(idsOf(blame.open)).toEqual([]);
      blame.answered(1_001, 300, 300);
      expect(rule(blame, finding, 400)).toEqual([]);
      // But for the next failure.
      blame.failed(toSuspect(99, 50, 500));
      expect(rule(blame, finding, 600)).not.toEqual([]);
    }
  });

  test("that were charged one by one, because the state is fine, count as long as nobody is answered", () => {
    const failSlowly = (blame: Blame<Suspect>, contacts: number) => {
      const told: unknown[] = [];
      for (let count = 0; count < 10; count += 1) {
        const at = 5_000 * count;
        blame.failed(toSuspect(1 + (count % contacts), at, at, count % 2 ? "silence" : "unauthorized"));
        told.push(rule(blame, works, at + 2_000), rule(blame, works, at + 4_000));
      }
      return told.filter((ruling) => typeof ruling === "string");
    };
    expect(failSlowly(openBlame<Suspect>(), 5)).not.toEqual([]);
    expect(failSlowly(openBlame<Suspect>(), 4)).toEqual([]);

    const answering = openBlame<Suspect>();
    failMany(answering, 9, 100);
    expect(rule(answering, works, 2_100)).toHaveLength(9);
    answering.answered(99, 3_000, 3_100);
    failMany(answering, 1, 4_000, { firstId: 50 });
    expect(rule(answering, works, 6_000)).toEqual([50]);
  });

  test("are forgotten after ten minutes", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 9, 0);
    rule(blame, works, 0);
    failMany(blame, 9, 601_000, { firstId: 50 });
    expect(blame.lookAt()).toBe(603_000);
    expect(rule(blame, works, 603_000)).toHaveLength(9);
  });

  test("of contacts that failed while others were answered say nothing of the instance", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 15, 100);
    expect(blame.answered(99, 100, 150)).toHaveLength(15);
    for (const at of [300, 400, 500]) {
      failMany(blame, 15, at);
      expect(blame.lookAt()).toBe(-Infinity);
      expect(rule(blame, works, at)).toHaveLength(15);
    }
    // Until they are answered themselves.
    for (let id = 1; id <= 15; id += 1) blame.answered(id, 600, 600);
    failMany(blame, 15, 700);
    expect(rule(blame, works, 800)).toBe("timing-out");
  });
});

describe("a sign of a broken instance", () => {
  test.each(["unauthorized", "not-authorized"] as const)(
    "(%s) has the state looked at by its first word",
    (ground) => {
      const blame = openBlame<Suspect>();
      expect(blame.failed(toSuspect(1, 0, 100, ground))).toBe("wait");
      expect(blame.lookAt()).toBe(100);
      expect(rule(blame, loggedOut, 1_300)).toBe("blocked");
    },
  );

  test("(404) has it looked at by the third in a row, or after 2 s", () => {
    const blame = openBlame<Suspect>();
    blame.failed(toSuspect(1, 0, 100, "not-found"));
    blame.failed(toSuspect(2, 10, 110, "not-found"));
    expect(blame.lookAt()).toBe(2_100);
    blame.failed(toSuspect(3, 20, 120, "not-found"));
    expect(blame.lookAt()).toBe(120);
  });

  test("that comes late, from before later answers, waits for one more, since trouble may have begun in between", () => {
    const blame = openBlame<Suspect>();
    blame.answered(1, 500, 600);
    expect(blame.failed(toSuspect(2, 0, 30_000, "not-authorized"))).toBe("wait");
    expect(blame.lookAt()).toBe(32_000);
    expect(idsOf(blame.answered(3, 29_000, 30_050))).toEqual([2]);
  });

  test("that comes late is looked into with the second one", () => {
    const blame = openBlame<Suspect>();
    blame.answered(1, 500, 600);
    blame.failed(toSuspect(2, 0, 30_000, "not-authorized"));
    blame.failed(toSuspect(3, 10, 30_010, "not-authorized"));
    expect(blame.lookAt()).toBe(30_010);
  });

  test("that the state speaks against is the contact's fault if nothing else happens for 2 s", () => {
    const blame = openBlame<Suspect>();
    blame.failed(toSuspect(1, 0, 100, "unauthorized"));
    blame.failed(toSuspect(2, 0, 100));
    expect(rule(blame, works, 200)).toEqual([2]);
    expect(idsOf(blame.open)).toEqual([1]);
    expect(blame.lookAt()).toBe(2_200);
    expect(blame.isSeenWorking(2_200)).toBe(true);
    expect(rule(blame, works, 2_200)).toEqual([1]);
    expect(idsOf(blame.open)).toEqual([]);
  });

  test("that the state speaks against is believed when it comes three times in a row, from three contacts", () => {
    const blame = openBlame<Suspect>();
    for (const [times, contactId] of [1, 2].entries()) {
      blame.failed(toSuspect(contactId, 1_000 * times, 1_000 * times, "unauthorized"));
      expect(blame.isSeenWorking(1_000 * times)).toBe(false);
      expect(rule(blame, works, 1_000 * times)).toEqual([]);
    }
    blame.failed(toSuspect(3, 2_000, 2_000, "unauthorized"));
    expect(rule(blame, works, 2_000)).toBe("unauthorized");
  });

  test.each([1, 2])(
    "of %i contacts, again and again, is theirs: each is charged, and none counts twice",
    (contacts) => {
      const blame = openBlame<Suspect>();
      for (let times = 0; times < 8; times += 1) {
        const contactId = 1 + (times % contacts);
        const at = 5_000 * times;
        blame.failed(toSuspect(contactId, at, at, "not-found"));
        expect(rule(blame, works, at)).toEqual([]);
        expect(rule(blame, works, at + 2_000)).toEqual([contactId]);
      }
    },
  );

  test("begins a new streak after an answer, and after another sign", () => {
    const blame = openBlame<Suspect>();
    const fail = (contactId: number, at: number, ground: Ground) => {
      blame.failed(toSuspect(contactId, at, at, ground));
      return rule(blame, works, at);
    };
    fail(1, 100, "unauthorized");
    fail(2, 200, "unauthorized");
    expect(idsOf(blame.answered(9, 300, 350))).toEqual([1, 2]);
    expect(fail(3, 400, "unauthorized")).toEqual([]);
    expect(fail(4, 500, "unauthorized")).toEqual([]);
    expect(fail(5, 600, "not-authorized")).toEqual([]);
    expect(fail(6, 700, "unauthorized")).toEqual([]);
    expect(fail(7, 800, "unauthorized")).toEqual([]);
    expect(fail(8, 900, "unauthorized")).toBe("unauthorized");
  });

  test("while nobody can tell the state is looked into each time, and believed by the third", () => {
    const blame = openBlame<Suspect>();
    for (const contactId of [1, 2]) {
      blame.failed(toSuspect(contactId, 100, 100, "unauthorized"));
      expect(blame.lookAt()).toBe(100);
      expect(rule(blame, untold, 200)).toEqual([]);
    }
    blame.failed(toSuspect(3, 100, 300, "unauthorized"));
    expect(rule(blame, untold, 300)).toBe("unauthorized");
  });

  test("of which nobody could tell is the contact's fault 2 s after the state is seen to be fine", () => {
    const blame = openBlame<Suspect>();
    blame.failed(toSuspect(1, 100, 100, "unauthorized"));
    for (const at of [200, 15_200, 45_200]) rule(blame, untold, at);
    blame.failed(toSuspect(2, 50_000, 50_000));
    expect(rule(blame, works, 52_000)).toEqual([2]);
    expect(blame.lookAt()).toBe(54_000);
    expect(rule(blame, works, 54_000)).toEqual([1]);
  });
});

describe("a state that is fine", () => {
  test("need not be asked for again for 10 s, unless there is a sign that it is not", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 1, 0);
    rule(blame, works, 2_000);
    failMany(blame, 1, 5_000);
    expect(blame.isSeenWorking(11_999)).toBe(true);
    expect(blame.isSeenWorking(12_000)).toBe(false);
    failMany(blame, 1, 6_000, { ground: "unauthorized", firstId: 9 });
    expect(blame.isSeenWorking(7_000)).toBe(false);
  });
});

describe("an instance whose calls stop", () => {
  test("releases those that wait, and whatever its calls in flight bring", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 3, 100);
    expect(idsOf(blame.drop(200))).toEqual([1, 2, 3]);
    expect(idsOf(blame.open)).toEqual([]);
    expect(blame.lookAt()).toBeUndefined();
    expect(blame.failed(toSuspect(4, 199, 70_000))).toBe("release");
    expect(blame.failed(toSuspect(5, 100, 70_000, "unauthorized"))).toBe("release");
    expect(blame.lookAt()).toBeUndefined();
  });

  test("begins anew with calls that are sent later", () => {
    const blame = openBlame<Suspect>();
    failMany(blame, 15, 100);
    blame.drop(200);
    failMany(blame, 9, 300, { firstId: 50 });
    expect(rule(blame, works, 2_300)).toHaveLength(9);
    expect(blame.isSeenWorking(2_300)).toBe(true);
    blame.drop(2_400);
    expect(blame.isSeenWorking(2_400)).toBe(false);
  });
});

describe("silence of one kind of chat", () => {
  test("is not proved the contact's fault by an answer of another, and in numbers holds its own kind", () => {
    const blame = openBlame<Suspect>();
    tear(blame, 10);
    expect(blame.lookAt()).toBe(-Infinity);
    expect(rule(blame, works, 200)).toBe("users-timing-out");
  });

  test("holds the whole instance where no other kind is answered, or the state is not either", () => {
    const blame = openBlame<Suspect>();
    blame.answered(99, -1, 0, "group");
    for (let id = 1; id <= 10; id += 1) blame.failed(ofKind(id, 10 * id, "user"));
    expect(rule(blame, works, 200)).toBe("timing-out");
    const other = openBlame<Suspect>();
    tear(other, 10);
    expect(rule(other, stalled, 200)).toBe("timing-out");
  });

  test("waits for a minute beside answers of others, though the state works; then few are the contacts' fault", () => {
    const blame = openBlame<Suspect>();
    tear(blame, 4);
    expect(rule(blame, works, 2_040)).toEqual([]);
    expect(blame.lookAt()).toBe(62_040);
    expect(rule(blame, works, 62_040)).toEqual([1, 2, 3, 4]);
  });

  test("is the contact's fault with the next answer of its own kind", () => {
    const blame = openBlame<Suspect>();
    tear(blame, 4);
    expect(idsOf(blame.answered(9, 25, 60, "user"))).toEqual([1, 2]);
    expect(blame.failed(ofKind(5, 20, "user"))).toBe("charge");
    expect(blame.failed(ofKind(6, 20, "lid"))).toBe("wait");
  });

  test("is what kinds are told apart by: any answer proves another failure the contact's fault", () => {
    const blame = openBlame<Suspect>();
    blame.failed(ofKind(1, 10, "user", "failure"));
    blame.failed(ofKind(2, 10, "user", "unauthorized"));
    expect(idsOf(blame.answered(9, 10, 20, "group"))).toEqual([1, 2]);
  });

  test("holds its kind also where now and then one of it is answered", () => {
    const blame = openBlame<Suspect>();
    for (let round = 0; round < 20; round += 1) {
      const at = 1_000 * round;
      blame.failed(ofKind(round, at, "user"));
      blame.answered(100 + round, at, at + 1, "group");
      if (round === 3) blame.answered(200, at, at + 2, "user");
    }
    expect(blame.lookAt()).toBe(-Infinity);
    expect(rule(blame, works, 20_000)).toBe("users-timing-out");
  });
});
