import {
  priorities,
  type Arrival,
  type DueRequest,
  type Place,
  type QueuedContact,
} from "../../domain/ledger/due-queue.ts";
import type { InstanceId } from "../../domain/instance-id.ts";

/** The heads of an instance's queues, as they were read, and how far each has come. */
export interface DueHeads {
  /** Contacts that were read and not taken. */
  readonly size: number;
  /** The priority of the next contact; Infinity: there is none at hand. */
  readonly firstPriority: number;
  /** How far the turns of each priority have come. */
  readonly turns: readonly [number, number, number];
  /**
   * What to read: each queue from where it is.
   * @param asked how many contacts are being asked: some of them are read once more
   */
  toRequests(limit: number, nowUs: number, asked?: number): DueRequest[];
  /**
   * Takes in what was read by the last requests, in place of what was there.
   * @param isLeftOut contacts that are being asked, or were when the look began
   * @param isAsked contacts that are being asked
   */
  takeIn(
    found: readonly (readonly QueuedContact[])[],
    isLeftOut: (contactId: number) => boolean,
    isAsked?: (contactId: number) => boolean,
  ): void;
  /** Takes the next contact: the one that has been due for longest where `favoured`, else the most urgent one. */
  take(favoured: boolean): QueuedContact | undefined;
  /** The contact that was taken is to be read again. */
  putBack(contact: QueuedContact): void;
  /** Contacts have become due, or more urgent; {@link anywhere}: reads all queues from their beginning. */
  goBack(arrival: Pick<Arrival, "priority" | "turn">): void;
}

/** In any queue, at any place. */
export const anywhere = { priority: undefined, turn: undefined };

/**
 * A queue by `due_at` is read from a little before where it is: a transaction may commit later than another one with a later
 * moment.
 */
const overlapUs = 2_000_000;

const start: Place = { by: -1, contactId: 0 };

interface Queue {
  readonly priority: number;
  readonly isTurned: boolean;
  /** All before it, and itself, was taken. */
  at: Place;
  /** The next look begins here, where that is earlier: taking what is at hand must not lead past it. */
  back: Place | undefined;
  /** Where the last look began: what it finds goes on from there, whatever was taken meanwhile. */
  lookedFrom: Place | undefined;
  /** As they were read; undefined: taken. */
  heads: (QueuedContact | undefined)[];
  /** How many of them are left. */
  left: number;
  /** Those before it were taken. */
  first: number;
  /** Their places, those that have been due for longest first; undefined: not needed since they were read. */
  byAge: number[] | undefined;
}

/** @param of the priorities whose queues are read */
export function createDueHeads(instanceId: InstanceId, of: readonly number[] = priorities): DueHeads {
  // In the order in which they are taken.
  const queues: Queue[] = of.flatMap((priority) =>
    [false, true].map((isTurned) => ({
      priority,
      isTurned,
      at: start,
      back: undefined,
      lookedFrom: undefined,
      heads: [],
      left: 0,
      first: 0,
      byAge: undefined,
    })),
  );

  function goBack(queue: Queue, to: Place): void {
    if (queue.back === undefined || compare(to, queue.back) < 0) queue.back = to;
  }

  function beginLook(queue: Queue): Place {
    if (queue.back && compare(queue.back, queue.at) < 0) queue.at = queue.back;
    queue.back = undefined;
    queue.lookedFrom = queue.at;
    return queue.at;
  }

  function takeFrom(queue: Queue, place: number): QueuedContact | undefined {
    const { heads } = queue;
    const taken = heads[place];
    heads[place] = undefined;
    queue.left -= 1;
    // What lies before it was read as well, and is still to come: its place stays.
    if (taken && place === queue.first && compare(queue.at, taken.place) < 0) queue.at = taken.place;
    while (queue.first < heads.length && heads[queue.first] === undefined) queue.first += 1;
    return taken;
  }

  function takeOldest(): QueuedContact | undefined {
    let oldest: Queue | undefined;
    let place = 0;
    let leastUs = Infinity;
    for (const queue of queues) {
      const at = findOldest(queue);
      const dueAtUs = queue.heads[at]?.dueAtUs ?? Infinity;
      if (dueAtUs < leastUs) [oldest, place, leastUs] = [queue, at, dueAtUs];
    }
    return oldest && takeFrom(oldest, place);
  }

  const turnOf = (priority: number) =>
    Math.max(0, queues.find((queue) => queue.isTurned && queue.priority === priority)?.at.by ?? 0);

  return {
    get size() {
      let sum = 0;
      for (const { left } of queues) sum += left;
      return sum;
    },
    get firstPriority() {
      return queues.find(({ left }) => left > 0)?.priority ?? Infinity;
    },
    get turns(): readonly [number, number, number] {
      return [turnOf(0), turnOf(1), turnOf(2)];
    },
    toRequests: (limit, nowUs, asked = 0) =>
      queues.map((queue) => {
        const { priority, isTurned } = queue;
        const at = beginLook(queue);
        if (isTurned || at.by <= nowUs - overlapUs)
          return { instanceId, priority, isTurned, after: at, limit };
        const after = { by: nowUs - overlapUs, contactId: 0 };
        return { instanceId, priority, isTurned, after, limit: limit + asked };
      }),
    takeIn(found, isLeftOut, isAsked = isLeftOut) {
      for (const [place, queue] of queues.entries()) {
        const page = found[place] ?? [];
        queue.at = queue.lookedFrom ?? queue.at;
        queue.lookedFrom = undefined;
        // A page of nothing but contacts that are being asked must lead on all the same.
        for (const contact of page) {
          if (!isAsked(contact.contactId)) break;
          if (compare(queue.at, contact.place) < 0) queue.at = contact.place;
        }
        queue.heads = page.filter(({ contactId }) => !isLeftOut(contactId));
        queue.left = queue.heads.length;
        queue.first = 0;
        queue.byAge = undefined;
      }
    },
    take(favoured) {
      if (favoured) return takeOldest();
      const queue = queues.find(({ left }) => left > 0);
      return queue && takeFrom(queue, queue.first);
    },
    putBack({ priority, isTurned, place }) {
      for (const queue of queues)
        if (queue.priority === priority && queue.isTurned === isTurned) goBack(queue, before(place));
    },
    goBack({ priority, turn }) {
      for (const queue of queues) {
        if (
          priority !== undefined &&
          (queue.priority !== priority || queue.isTurned !== (turn !== undefined))
        )
          continue;
        goBack(queue, turn === undefined ? start : before({ by: turn, contactId: 0 }));
      }
    },
  };
}

/** The place of the contact that has been due for longest. They are put in this order once for each look. */
function findOldest(queue: Queue): number {
  const { heads, left, first } = queue;
  if (left === 0) return first;
  const dueAt = (place: number) => heads[place]?.dueAtUs ?? -Infinity;
  queue.byAge ??= [...heads.keys()].toSorted((one, other) => dueAt(other) - dueAt(one) || other - one);
  while (heads[queue.byAge.at(-1) ?? first] === undefined) queue.byAge.pop();
  return queue.byAge.at(-1) ?? first;
}

function before({ by, contactId }: Place): Place {
  return contactId > 0
    ? { by, contactId: contactId - 1 }
    : { by: by - 1, contactId: Number.MAX_SAFE_INTEGER };
}

function compare(a: Place, b: Place): number {
  return a.by - b.by || a.contactId - b.contactId;
}
