import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { ContactPast, DueContact } from "../../src/domain/lookup/due-contact.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import { habitFactor } from "../../src/domain/refresh/habit-factor.ts";
import { planRefresh, type Refresh, type RefreshPolicy } from "../../src/domain/refresh/refresh-policy.ts";
import {
  expiringUrlStep,
  toIntervalMs,
  toRefreshCause,
  toStep,
} from "../../src/domain/refresh/refresh-step.ts";
import { absent, giveUp, hidden, invalid, release, retry } from "../support/ledger.ts";
import { defaultRefreshPolicy, noPast } from "../support/refresh.ts";

const dayMs = 86_400_000;
const askedAt = new Date("2026-11-27T12:00:00Z");
const withoutUrls: RefreshPolicy = { ...defaultRefreshPolicy, keepUrlsFresh: false };

function toContact(
  contactId: number,
  past: Partial<ContactPast> = {},
  chatId = "79000000001@c.us",
): DueContact {
  return { contactId, chatId: chatId as ChatId, attempts: 0, past: { ...noPast, ...past } };
}

function present(expiresInMs?: number, version = "/v1"): ContactDecision {
  const urlExpiresAt = expiresInMs === undefined ? undefined : new Date(askedAt.getTime() + expiresInMs);
  return {
    kind: "answer",
    status: "present",
    avatar: { kind: "seen", url: "https://x", urlExpiresAt, version },
    note: undefined,
  };
}

/** Days until the refresh. */
function daysUntil(refresh: Refresh | undefined): number {
  if (refresh === undefined || refresh === "never") return Number.NaN;
  return (refresh.at.getTime() - askedAt.getTime()) / dayMs;
}

const factor = (days: number, changes: number) => habitFactor({ watchedMs: days * dayMs, changes });

describe("a contact whose habits are not known", () => {
  test.each([
    ["present", present(), 7],
    ["absent", absent, 14],
    ["hidden", hidden, 30],
    ["unreachable", giveUp, 1],
  ] as const)("that is %s is due again by its interval, less a tenth at most", (_status, decision, days) => {
    for (let contactId = 1; contactId <= 200; contactId += 1) {
      const until = daysUntil(planRefresh(toContact(contactId), decision, askedAt, withoutUrls));
      expect(until).toBeLessThanOrEqual(days * 1.01);
      expect(until).toBeGreaterThan(days * 0.89);
    }
  });

  test("that is invalid is never due, unless that is set", () => {
    expect(planRefresh(toContact(1), invalid, askedAt, withoutUrls)).toBe("never");
    const users = { ...withoutUrls.users, invalidMs: 10 * dayMs };
    expect(daysUntil(planRefresh(toContact(1), invalid, askedAt, { ...withoutUrls, users }))).toBeCloseTo(
      9.4,
      0,
    );
  });

  test("of a group goes by the intervals of groups", () => {
    const policy = {
      ...withoutUrls,
      groups: { ...withoutUrls.groups, presentMs: 40 * dayMs, absentMs: undefined },
    };
    const group = toContact(3, {}, "120363043968066561@g.us");
    expect(daysUntil(planRefresh(group, present(), askedAt, policy))).toBeGreaterThan(35);
    expect(planRefresh(group, absent, askedAt, policy)).toBe("never");
    expect(daysUntil(planRefresh(toContact(3), present(), askedAt, policy))).toBeLessThan(8);
  });
});

test.each([retry, release])("a lookup that is tried again decides nothing", (decision) => {
  expect(planRefresh(toContact(1), decision, askedAt, withoutUrls)).toBeUndefined();
});

test("contacts that were asked together are due evenly over a tenth of their interval", () => {
  const hours = new Map<number, number>();
  for (let contactId = 1; contactId <= 16_800; contactId += 1) {
    const hour = Math.floor(daysUntil(planRefresh(toContact(contactId), absent, askedAt, withoutUrls)) * 24);
    hours.set(hour, (hours.get(hour) ?? 0) + 1);
  }
  // 33.6 hours, 500 in each.
  expect(hours.size).toBeGreaterThanOrEqual(33);
  expect(Math.max(...hours.values())).toBeLessThan(520);
});

describe("a version that says nothing of the picture", () => {
  const watched = {
    firstSeenAt: new Date(askedAt.getTime() - 300 * dayMs),
    changes: 0,
    status: "present",
  } as const;
  const planned = (past: Partial<ContactPast>, version: string) =>
    daysUntil(
      planRefresh(toContact(0, { ...watched, ...past }), present(undefined, version), askedAt, withoutUrls),
    );

  test("is no evidence that the avatar never changes, nor that it always does", () => {
    expect(planned({ version: "url:a" }, "url:a")).toBeCloseTo(7, 1);
    expect(planned({ version: "url:a", changes: 40 }, "url:b")).toBeCloseTo(7, 1);
  });

  test("leaves it to images, where they are kept", () => {
    expect(planned({ version: "sha256:aa" }, "url:b")).toBeCloseTo(planned({ version: "/v1" }, "/v1"), 5);
    expect(planned({ version: "sha256:aa", changes: 40 }, "url:b")).toBeLessThan(7);
  });

  test("is another avatar than none", () => {
    expect(planned({ version: undefined }, "url:b")).toBeCloseTo(planned({ version: undefined }, "/v1"), 5);
  });
});

test("the same contact has the same moment each time", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (contactId) => {
      const plan = () => planRefresh(toContact(contactId), present(3 * dayMs), askedAt, defaultRefreshPolicy);
      expect(plan()).toEqual(plan());
    }),
  );
});

describe("a contact that keeps being unreachable", () => {
  test("is asked after 1, 2, 4, 8, 16 and then every 30 days", () => {
    let past: Partial<ContactPast> = {};
    const days = Array.from({ length: 7 }, () => {
      const refresh = planRefresh(toContact(0, past), giveUp, askedAt, withoutUrls);
      if (refresh === undefined || refresh === "never") throw new Error("not planned");
      past = { status: "unreachable", refreshStep: refresh.step };
      return daysUntil(refresh);
    });
    for (const [index, expected] of [1, 2, 4, 8, 16, 30, 30].entries()) {
      expect((days[index] ?? 0) / expected).toBeCloseTo(1, 0.5);
      expect((days[index] ?? 0) / expected).toBeGreaterThan(0.8);
    }
  });

  test("begins anew after an answer", () => {
    const past = { status: "present", refreshStep: toStep(20 * dayMs) } as const;
    expect(daysUntil(planRefresh(toContact(0, past), giveUp, askedAt, withoutUrls))).toBeCloseTo(1);
  });
});

describe("a URL that expires", () => {
  test("makes its contact due a day to a day and a half before, in that order", () => {
    for (let contactId = 1; contactId <= 100; contactId += 1) {
      const refresh = planRefresh(toContact(contactId), present(5 * dayMs), askedAt, defaultRefreshPolicy);
      expect(daysUntil(refresh)).toBeGreaterThanOrEqual(3.5);
      expect(daysUntil(refresh)).toBeLessThanOrEqual(4);
      expect(refresh).toMatchObject({ step: expiringUrlStep });
    }
  });

  test.each([
    ["that lives for long: its age comes first", 20 * dayMs, 6.3, 7.01, "age"],
    ["that lives for a day and a half: at half of its life", 1.5 * dayMs, 0.6, 0.76, "expiring-url"],
    ["that does not tell, and lives for a day", undefined, 0.4, 0.51, "expiring-url"],
    ["that has expired already: asking again at once would bring another one", -dayMs, 6.3, 7.01, "age"],
  ] as const)("%s", (_name, lifeMs, least, most, cause) => {
    const refresh = planRefresh(toContact(7), present(lifeMs), askedAt, defaultRefreshPolicy);
    if (refresh === undefined || refresh === "never") throw new Error("not planned");
    expect(daysUntil(refresh)).toBeGreaterThan(least);
    expect(daysUntil(refresh)).toBeLessThan(most);
    expect(toRefreshCause(refresh.step)).toBe(cause);
  });

  test("is left out where that is set, or where no interval is", () => {
    expect(planRefresh(toContact(7), present(2 * dayMs), askedAt, withoutUrls)).not.toMatchObject({
      step: expiringUrlStep,
    });
    const users = { ...defaultRefreshPolicy.users, presentMs: undefined };
    const refresh = planRefresh(toContact(7), present(2 * dayMs), askedAt, {
      ...defaultRefreshPolicy,
      users,
    });
    expect(refresh).toMatchObject({ step: expiringUrlStep });
  });
});

describe("habits", () => {
  const watchedDays = fc.double({ min: 0, max: 2_000, noNaN: true });
  const changeCount = fc.integer({ min: 0, max: 500 });

  test("that are not known have the factor 1", () => {
    expect(factor(0, 0)).toBeCloseTo(1, 2);
  });

  test("of change make a contact due sooner, never later", () => {
    fc.assert(
      fc.property(watchedDays, changeCount, changeCount, (days, one, more) => {
        expect(factor(days, one + more)).toBeLessThanOrEqual(factor(days, one) * 1.01);
      }),
    );
  });

  test("of no change make it due later the longer it was watched, never sooner", () => {
    fc.assert(
      fc.property(watchedDays, watchedDays, changeCount, (days, more, changes) => {
        fc.pre(changes <= days);
        expect(factor(days + more, changes)).toBeGreaterThanOrEqual(factor(days, changes) * 0.99);
      }),
    );
  });

  test("never lead out of the bounds, but for an interval that is set outside of them", () => {
    const past = fc.record({
      days: watchedDays,
      changes: changeCount,
      baseDays: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(past, fc.integer({ min: 1, max: 1_000_000 }), ({ days, changes, baseDays }, contactId) => {
        const users = { ...withoutUrls.users, presentMs: baseDays * dayMs };
        const firstSeenAt = new Date(askedAt.getTime() - days * dayMs);
        const contact = toContact(contactId, { firstSeenAt, changes, status: "present", version: "/v1" });
        const until = daysUntil(planRefresh(contact, present(), askedAt, { ...withoutUrls, users }));
        expect(until).toBeGreaterThan(0.89);
        expect(until).toBeLessThanOrEqual(Math.max(60, baseDays));
      }),
    );
  });

  test("count the avatar that this very answer has brought", () => {
    const past = {
      firstSeenAt: new Date(askedAt.getTime() - 30 * dayMs),
      status: "present",
      version: "/v1",
    } as const;
    const plan = (decision: ContactDecision) =>
      daysUntil(planRefresh(toContact(1, past), decision, askedAt, withoutUrls));
    expect(plan(present(undefined, "/v1"))).toBeGreaterThan(8);
    expect(plan(present(undefined, "/v2"))).toBeLessThan(5);
    // What is hidden says nothing of the picture.
    expect(plan(hidden)).toBeGreaterThan(36);
  });
});

test("a step tells its interval to within 9 %, and steps are in the order of intervals", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1, max: 20_000, noNaN: true }),
      fc.double({ min: 1, max: 2, noNaN: true }),
      (hours, more) => {
        const ms = hours * 3_600_000;
        expect(Math.abs(Math.log2(toIntervalMs(toStep(ms)) / ms))).toBeLessThanOrEqual(0.126);
        expect(toStep(ms * more)).toBeGreaterThanOrEqual(toStep(ms));
      },
    ),
  );
});

test.each([
  [-3, "requested"],
  [-2, "never-asked"],
  [-1, "expiring-url"],
  [0, "age"],
  [40, "age"],
])("the step %i means %s", (step, cause) => {
  expect(toRefreshCause(step)).toBe(cause);
});
