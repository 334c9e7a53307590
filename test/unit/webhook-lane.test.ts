import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FeedItem } from "../../src/domain/webhooks/feed-item.ts";
import type { LeasedEndpoint } from "../../src/domain/webhooks/settlement.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import {
  addItems,
  createLaneState,
  finishItem,
  holdAt,
  noteFailure,
  noteSuccess,
  putOff,
  takeNews,
  toRoom,
} from "../../src/webhooks/lane-state.ts";

const now = new Date(1_790_000_000_000);

function open(fields: Partial<LeasedEndpoint> = {}) {
  const endpoint: LeasedEndpoint = {
    id: "endpoint",
    epoch: 1,
    url: "https://crm.example",
    label: undefined,
    types: [],
    instanceIds: undefined,
    includesFirstSeen: false,
    isOrdered: false,
    omitsChatId: false,
    secrets: [],
    cursor: 0,
    failingSince: undefined,
    headTries: 0,
    headNextAt: undefined,
    ...fields,
  };
  return createLaneState(endpoint, now, 0);
}

function toItem(id: number): FeedItem {
  return { id, at: now, type: "instance.resumed", instanceId: "1101000001" as InstanceId, reason: undefined };
}

function toChange(id: number, contactId: number): FeedItem {
  return { ...toItem(id), type: "avatar.changed", contactId } as FeedItem;
}

function daysAgo(count: number): Date {
  return new Date(now.getTime() - count * 86_400_000);
}

const failure = { at: now, isGone: false, retryAfterMs: undefined };

describe("the cursor of an endpoint", () => {
  test("stays before what has neither been taken nor has its row, and passes all that has", () => {
    const ends = fc.array(fc.constantFrom("taken", "failed", "under way"), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(ends, fc.array(fc.nat(), { maxLength: 30 }), (outcomes, order) => {
        const lane = open();
        const items = outcomes.map((_, index) => toItem(2 * index + 1));
        const last = 2 * items.length + 5;
        addItems(lane, items, last, 0);
        const written = new Set<number>();
        let cursor = 0;
        const look = () => {
          const news = takeNews(lane);
          for (const { feedId } of news?.failed ?? []) written.add(feedId);
          if (news) ({ cursor } = news.progress);
        };
        // In any order, with a write now and then.
        const places = items
          .map((item, index) => ({ item, outcome: outcomes[index], rank: order[index] ?? index }))
          .toSorted((a, b) => a.rank - b.rank);
        const taken = new Set<number>();
        for (const { item, outcome, rank } of places) {
          if (outcome === "taken") {
            noteSuccess(lane, item, now);
            finishItem(lane, item);
            taken.add(item.id);
          }
          if (outcome === "failed") {
            noteFailure(lane, failure, 0);
            putOff(lane, item, now);
          }
          if (rank % 3 === 0) look();
          for (const { id } of items) if (id <= cursor) expect(taken.has(id) || written.has(id)).toBe(true);
        }
        look();
        const firstOpen = items.find((_, index) => outcomes[index] === "under way");
        expect(cursor).toBe(firstOpen ? firstOpen.id - 1 : last);
      }),
    );
  });

  test("of an ordered endpoint goes back to the event that failed, and waits there", () => {
    const lane = open({ isOrdered: true });
    addItems(lane, [toItem(3), toItem(4)], 9, 0);
    noteFailure(lane, failure, 0);
    holdAt(lane, toItem(3), now, 5_000, 0);
    expect(takeNews(lane)?.progress).toMatchObject({
      cursor: 2,
      headTries: 1,
      headNextAt: new Date(now.getTime() + 5_000),
    });
    expect([toRoom(lane, 4_999), toRoom(lane, 5_000)]).toEqual([0, 1]);
    expect(lane.readPos).toBe(2);
  });
});

describe("an endpoint that fails", () => {
  test("has one request in flight after three failures in a row, with longer and longer pauses", () => {
    const lane = open();
    expect(toRoom(lane, 0)).toBe(16);
    for (let count = 0; count < 3; count += 1) noteFailure(lane, failure, 0);
    expect([toRoom(lane, 4_999), toRoom(lane, 5_000)]).toEqual([0, 1]);
    noteFailure(lane, failure, 5_000);
    expect([toRoom(lane, 14_999), toRoom(lane, 15_000)]).toEqual([0, 1]);
    for (let count = 0; count < 50; count += 1) noteFailure(lane, failure, 15_000);
    expect(toRoom(lane, 75_000)).toBe(1);
    noteSuccess(lane, toItem(1), now);
    expect(toRoom(lane, 75_000)).toBe(16);
  });

  test("is left alone as long as it asked for", () => {
    const lane = open();
    noteFailure(lane, { ...failure, retryAfterMs: 120_000 }, 0);
    expect([toRoom(lane, 119_999), toRoom(lane, 120_000)]).toEqual([0, 16]);
  });

  test("is disabled when it is gone, or after five days, and keeps its place", () => {
    const gone = open({ cursor: 7 });
    addItems(gone, [toItem(8)], 9, 0);
    noteFailure(gone, { ...failure, isGone: true }, 0);
    expect(takeNews(gone)?.progress).toMatchObject({ disable: "gone", cursor: 7 });
    const failing = open({ failingSince: daysAgo(5) });
    noteFailure(failing, failure, 0);
    expect(takeNews(failing)?.progress.disable).toBe("failing");
    const young = open({ failingSince: daysAgo(4.99) });
    noteFailure(young, failure, 0);
    expect(takeNews(young)?.progress.disable).toBeUndefined();
  });

  test("has one row for a contact, the newest, and none where something newer was taken", () => {
    const lane = open();
    putOff(lane, toChange(1, 1), now);
    putOff(lane, toChange(2, 1), now);
    putOff(lane, toChange(3, 2), now);
    noteSuccess(lane, toChange(4, 2), now);
    const news = takeNews(lane);
    expect(news?.failed.map(({ feedId }) => feedId)).toEqual([2]);
    expect(news?.taken.map(({ feedId }) => feedId)).toEqual([4]);
  });
});
