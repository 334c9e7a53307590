/** What can stand still, or be gone: events that are meant for it wait, or never come. */
export interface Actor {
  isDead: boolean;
  stalledUntil: number;
}

/** Ms of virtual time, or until a promise is settled. */
export type Pause = number | Promise<unknown>;

/** Time that only passes from one event to the next. */
export interface VirtualTime {
  readonly now: number;
  /** Has something happen at a moment; undefined: to no one in particular. */
  at(moment: number, actor: Actor | undefined, happen: () => void): void;
  /** As `at`, where promises are settled by it: all that follows from them has happened before the next event. */
  settleAt(moment: number, actor: Actor | undefined, settle: () => void): void;
  /** Begins something that an actor does, and that pauses now and then. */
  start(actor: Actor, activity: Generator<Pause, void>): void;
  /** Lets events happen until there are none, or it is enough. */
  run(isEnough: () => boolean): Promise<void>;
}

interface Event {
  readonly at: number;
  /** Events of one moment happen in the order in which they were set. */
  readonly number: number;
  readonly actor: Actor | undefined;
  readonly settles: boolean;
  readonly happen: () => void;
}

export function createVirtualTime(startsAt: number): VirtualTime {
  let now = startsAt;
  let events = 0;
  /** Something waits for a promise that is perhaps settled already. */
  let isWaiting = false;
  const heap: Event[] = [];

  function put(at: number, actor: Actor | undefined, settles: boolean, happen: () => void): void {
    events += 1;
    push(heap, { at, number: events, actor, settles, happen });
  }

  const time: VirtualTime = {
    get now() {
      return now;
    },
    at: (moment, actor, happen) => put(Math.max(now, moment), actor, false, happen),
    settleAt: (moment, actor, settle) => put(Math.max(now, moment), actor, true, settle),
    start(actor, activity) {
      const goOn = () => {
        if (actor.isDead) return;
        const { value, done } = activity.next();
        if (done) return;
        if (typeof value === "number") return put(now + Math.max(0, value), actor, false, goOn);
        isWaiting = true;
        return void value.then(goOn, goOn);
      };
      put(now, actor, false, goOn);
    },
    async run(isEnough) {
      for (let next = pop(heap); next !== undefined && !isEnough(); next = pop(heap)) {
        const { actor, settles, happen } = next;
        now = next.at;
        if (actor?.isDead) continue;
        if (actor && actor.stalledUntil > now) put(actor.stalledUntil, actor, settles, happen);
        else {
          happen();
          if (settles || isWaiting) await settleAll();
          isWaiting = false;
        }
      }
    },
  };
  return time;
}

/** Longer than any chain of promises here. A turn of the event loop would cost fifty times as much. */
const longestChain = 16;

async function settleAll(): Promise<void> {
  for (let link = 0; link < longestChain; link += 1) await Promise.resolve();
}

/** Waits for a promise. Returns undefined where it was rejected. */
export function* until<Value>(promise: Promise<Value>): Generator<Pause, Value | undefined> {
  let result: Value | undefined;
  yield promise.then(
    (value) => (result = value),
    () => undefined,
  );
  return result;
}

const isBefore = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.number < b.number);

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || !isBefore(event, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || first === last) return first;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    const left = heap[below];
    const right = heap[below + 1];
    if (left === undefined) break;
    if (right !== undefined && isBefore(right, left)) below += 1;
    const child = heap[below];
    if (child === undefined || !isBefore(child, last)) break;
    heap[at] = child;
    at = below;
  }
  heap[at] = last;
  return first;
}
