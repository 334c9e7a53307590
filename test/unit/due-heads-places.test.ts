import { expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { ChatId } from "../../src/domain/chat-id.ts";
import type { DueRequest, Place, QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import { createDueHeads, type DueHeads } from "../../src/worker/lane/due-heads.ts";

const limit = 3;
const nowUs = 1_000_000_000;

/** A contact that waits for its turn, which is its id. */
const toContact = (contactId: number): QueuedContact => ({
  contactId,
  chatId: `${contactId}@c.us` as ChatId,
  attempts: 0,
  past: { status: "unknown", firstSeenAt: undefined, changes: 0, version: undefined, refreshStep: undefined },
  priority: 1,
  isTurned: true,
  place: { by: contactId, contactId },
  dueAtUs: 0,
});

const isAfter = (a: Place, b: Place) => a.by > b.by || (a.by === b.by && a.contactId > b.contactId);

/** What a statement would find in a queue that holds these turns. */
const find = (requests: readonly DueRequest[], turns: readonly number[]) =>
  requests.map((request) =>
    request.isTurned && request.priority === 1
      ? turns
          .map(toContact)
          .filter(({ place }) => isAfter(place, request.after))
          .slice(0, request.limit)
      : [],
  );

const look = (heads: DueHeads, turns: readonly number[], asked: readonly number[] = []) =>
  heads.takeIn(find(heads.toRequests(limit, nowUs), turns), (contactId) => asked.includes(contactId));

const takeAll = (heads: DueHeads) => {
  const taken: number[] = [];
  for (let next = heads.take(false); next; next = heads.take(false)) taken.push(next.contactId);
  return taken;
};

const open = () => createDueHeads("1101000001" as InstanceId);

test("a look that finds only contacts that are being asked is followed by one behind them", () => {
  const heads = open();
  const asked = [1, 2, 3, 4, 5, 6];
  const turns = [...asked, 7, 8];
  look(heads, turns, asked);
  expect(heads.size).toBe(0);
  look(heads, turns, asked);
  look(heads, turns, asked);
  expect(takeAll(heads)).toEqual([7, 8]);
});

test("what was settled during a look, and may be due again, is not passed by", () => {
  const heads = open();
  const requests = heads.toRequests(limit, nowUs);
  heads.takeIn(
    find(requests, [1, 2, 3]),
    () => true,
    (contactId) => contactId === 1,
  );
  expect(heads.size).toBe(0);
  look(heads, [1, 2, 3], [1]);
  expect(takeAll(heads)).toEqual([2, 3]);
});

test("what arrives before the contacts at hand is found, although they are taken first", () => {
  const heads = open();
  look(heads, [11, 12, 13]);
  heads.goBack({ priority: 1, turn: 5 });
  expect(takeAll(heads)).toEqual([11, 12, 13]);
  look(heads, [5, 6, 7, 8, 11, 12, 13, 14], [11, 12, 13]);
  expect(takeAll(heads)).toEqual([5, 6, 7]);
  look(heads, [8, 11, 12, 13, 14], [11, 12, 13]);
  expect(takeAll(heads)).toEqual([8]);
});

test("what arrives while a look is under way that cannot see it yet is found by the next one", () => {
  const heads = open();
  look(heads, [11, 12, 13]);
  takeAll(heads);
  const requests = heads.toRequests(limit, nowUs);
  heads.goBack({ priority: 1, turn: 5 });
  heads.takeIn(find(requests, [14, 15]), () => false);
  expect(takeAll(heads)).toEqual([14, 15]);
  look(heads, [5, 14, 15], [14, 15]);
  expect(takeAll(heads)).toEqual([5]);
});

test("what is taken while a look is under way does not lead past what that finds", () => {
  const heads = open();
  look(heads, [11, 12, 13]);
  heads.goBack({ priority: 1, turn: 1 });
  const requests = heads.toRequests(limit, nowUs);
  takeAll(heads);
  heads.takeIn(find(requests, [1, 2, 3, 4, 11]), (contactId) => contactId >= 11);
  expect(takeAll(heads)).toEqual([1, 2, 3]);
  look(heads, [4, 11], [11]);
  expect(takeAll(heads)).toEqual([4]);
});

test("a look a little back in a queue of retries reads so many more as are being asked", () => {
  const heads = open();
  const retry = { ...toContact(1), isTurned: false, place: { by: nowUs, contactId: 1 } };
  const found = heads
    .toRequests(limit, nowUs)
    .map((request) => (request.isTurned || request.priority !== 1 ? [] : [retry]));
  heads.takeIn(found, () => false);
  takeAll(heads);
  const requests = heads.toRequests(limit, nowUs, 40);
  expect(requests.filter((request) => request.limit === limit + 40)).toMatchObject([
    { priority: 1, isTurned: false },
  ]);
});
