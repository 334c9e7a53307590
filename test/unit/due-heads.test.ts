import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DueRequest, QueuedContact } from "../../src/domain/ledger/due-queue.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { anywhere, createDueHeads, type DueHeads } from "../../src/worker/lane/due-heads.ts";
import { toQueued } from "../support/fake-run-ledger.ts";

const instanceId = "1101000001" as InstanceId;
const compare = (a: QueuedContact, b: QueuedContact) =>
  a.place.by - b.place.by || a.place.contactId - b.place.contactId;

/** What the queues hold, as the ledger would read them. */
function readQueues(due: readonly QueuedContact[], requests: readonly DueRequest[]): QueuedContact[][] {
  return requests.map(({ priority, isTurned, after, limit }) =>
    due
      .filter((contact) => contact.priority === priority && contact.isTurned === isTurned)
      .filter(
        ({ place }) => place.by > after.by || (place.by === after.by && place.contactId > after.contactId),
      )
      .toSorted(compare)
      .slice(0, limit),
  );
}

type Step =
  | { readonly kind: "arrive"; readonly priority: number; readonly isTurned: boolean; readonly by: number }
  | { readonly kind: "read"; readonly limit: number }
  | { readonly kind: "take"; readonly favoured: boolean }
  | { readonly kind: "put-back" | "save" | "retry"; readonly place: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("arrive" as const),
    priority: fc.nat(2),
    isTurned: fc.boolean(),
    by: fc.nat(20),
  }),
  fc.record({ kind: fc.constant("read" as const), limit: fc.integer({ min: 1, max: 6 }) }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("take" as const), favoured: fc.boolean() }) },
  fc.record({
    kind: fc.constantFrom("put-back" as const, "save" as const, "retry" as const),
    place: fc.nat(9),
  }),
);

/** Carries out steps; `asked` are the contacts whose calls are in flight. */
function carryOut(steps: readonly Step[]) {
  const heads = createDueHeads(instanceId);
  let due: QueuedContact[] = [];
  const asked = new Map<number, QueuedContact>();
  let told = 0;
  const read = (limit: number) => {
    // No moment of a contact here is older than the overlap: all that is due by its moment is read again.
    const requests = heads.toRequests(limit, 20, asked.size);
    heads.takeIn(readQueues(due, requests), (id) => asked.has(id));
  };
  const take = (favoured: boolean) => {
    const taken = heads.take(favoured);
    if (taken === undefined) return;
    expect(asked.has(taken.contactId)).toBe(false);
    asked.set(taken.contactId, taken);
  };
  const end = (how: "put-back" | "save" | "retry", contact: QueuedContact) => {
    asked.delete(contact.contactId);
    if (how === "put-back") heads.putBack(contact);
    else due = due.filter(({ contactId }) => contactId !== contact.contactId);
    if (how !== "retry") return;
    const place = { by: 20, contactId: contact.contactId };
    due.push({ ...contact, isTurned: false, place });
  };
  for (const next of steps) {
    if (next.kind === "arrive") {
      told += 1;
      const { priority, isTurned, by } = next;
      due.push(toQueued(told, { priority, isTurned, place: { by, contactId: told }, dueAtUs: told }));
      heads.goBack({ priority, turn: isTurned ? by : undefined });
    } else if (next.kind === "read") read(next.limit);
    else if (next.kind === "take") take(next.favoured);
    else {
      const contact = [...asked.values()][next.place];
      if (contact) end(next.kind, contact);
    }
  }
  return { heads, asked, read, take, listDue: () => due, end };
}

describe("the heads of an instance's queues", () => {
  test("have every due contact asked, and none twice at a time, whatever arrives, is put back and saved", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { heads, asked, read, take, listDue } = carryOut(steps);
        // A run ends when it has looked from the beginning and found nothing: its last looks are these.
        heads.goBack(anywhere);
        for (let looks = 0; looks < 100; looks += 1) {
          read(3);
          if (heads.size === 0) break;
          while (heads.size > 0) take(false);
        }
        const ids = listDue().map(({ contactId }) => contactId);
        expect([...asked.keys()].toSorted((a, b) => a - b)).toEqual(ids.toSorted((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });

  test("need no look from the beginning for what has arrived, or was put back", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { asked, read, take, heads, listDue } = carryOut(steps);
        for (let looks = 0; looks < 100; looks += 1) {
          read(3);
          if (heads.size === 0) break;
          while (heads.size > 0) take(false);
        }
        expect(asked.size).toBe(listDue().length);
      }),
      { numRuns: 300 },
    );
  });

  test("come by priority, then retries before turns, then by their place", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { heads, read } = carryOut(steps);
        read(1_000);
        const taken = takeAll(heads, false);
        const sorted = taken.toSorted(
          (a, b) => a.priority - b.priority || Number(a.isTurned) - Number(b.isTurned) || compare(a, b),
        );
        expect(taken).toEqual(sorted);
      }),
    );
  });

  test("that are favoured are those that have been due for longest, whatever their priority", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { heads, read } = carryOut(steps);
        read(1_000);
        const taken = takeAll(heads, true).map(({ dueAtUs }) => dueAtUs);
        expect(taken).toEqual(taken.toSorted((a, b) => a - b));
      }),
    );
  });
});

function takeAll(heads: DueHeads, favoured: boolean): QueuedContact[] {
  const taken: QueuedContact[] = [];
  for (let next = heads.take(favoured); next !== undefined; next = heads.take(favoured)) taken.push(next);
  return taken;
}

test("the turns of a priority never go back with what was taken out of order", () => {
  const heads = createDueHeads(instanceId);
  const old = toQueued(9, { dueAtUs: 0 });
  heads.takeIn([[], [], [], [toQueued(7), toQueued(8), old]], () => false);
  expect(heads.take(true)).toEqual(old);
  expect(heads.turns).toEqual([0, 0, 0]);
  heads.take(false);
  expect(heads.turns).toEqual([0, 7, 0]);
});

test("a queue by moments is read again from two seconds before, since a transaction may commit late", () => {
  const heads = createDueHeads(instanceId);
  const nowUs = 1_000_000_000;
  heads.takeIn([[], [], [toQueued(1, { isTurned: false, place: { by: nowUs, contactId: 1 } })]], () => false);
  heads.take(false);
  expect(heads.toRequests(5, nowUs)[2]?.after.by).toBe(nowUs - 2_000_000);
  // Also where the place lies further back: nothing before it is passed by.
  expect(heads.toRequests(5, nowUs)[0]?.after.by).toBe(-1);
});
