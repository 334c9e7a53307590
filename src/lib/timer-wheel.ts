/**
 * What waits in a wheel for its time, as a base class: its neighbours are its own fields, so that to wait costs no object. It can
 * be in one wheel at a time.
 */
export abstract class WheelEntry {
  /** The wheel's. An entry that is its own neighbour is in no wheel. */
  next: WheelEntry = this;
  /** The wheel's. */
  previous: WheelEntry = this;
  /** The wheel's. */
  dueTick = 0;

  /** The time has come; the entry is in the wheel no more. */
  abstract onDue(): void;
}

/** One timer for many waits of similar length, most of which are given up before their end. */
export interface TimerWheel<Entry extends WheelEntry> {
  /** Has `entry.onDue()` called after `delayMs`: never earlier, and some two ticks later at most. */
  start(entry: Entry, delayMs: number): void;
  /** Takes the entry out; harmless where it is in no wheel. */
  stop(entry: Entry): void;
  /** All that wait now. */
  list(): Entry[];
}

/** How a wheel knows the time. */
export interface WheelTiming {
  /** A monotonic clock, ms. */
  now(): number;
  /** Calls `turn` again and again until the function that is returned is called. */
  every(ms: number, turn: () => void): () => void;
}

/** Keeps no process alive: what is waited for has a connection that does. */
const processTiming: WheelTiming = {
  now: performance.now.bind(performance),
  every(ms, turn) {
    const timer = setInterval(turn, ms).unref();
    return () => clearInterval(timer);
  },
};

/** The two ends of a slot's list. */
class SlotEnd extends WheelEntry {
  onDue(): void {}
}

/** With {@link slots} of them one turn is longer than a call's deadline: an entry is looked at once. */
const tickMs = 250;
const slots = 512;

/** The wheel turns only while an entry waits in it. */
export function createTimerWheel<Entry extends WheelEntry>(timing = processTiming): TimerWheel<Entry> {
  const ends = Array.from({ length: slots }, () => new SlotEnd());
  let waiting = 0;
  let startedAt = 0;
  let turnedTo = 0;
  let stopTurning: (() => void) | undefined;

  const tickNow = (): number => Math.floor((timing.now() - startedAt) / tickMs);
  /** Also where the tick is later than a turn. */
  const endOf = (tick: number): SlotEnd => ends[tick % slots]!;

  function unlink(entry: WheelEntry): void {
    if (entry.next === entry) return;
    entry.previous.next = entry.next;
    entry.next.previous = entry.previous;
    entry.next = entry;
    entry.previous = entry;
    waiting -= 1;
  }

  function turn(): void {
    if (waiting === 0) {
      stopTurning?.();
      stopTurning = undefined;
      return;
    }
    const tick = tickNow();
    const due: WheelEntry[] = [];
    // After a long pause each slot is looked at once.
    for (let at = Math.max(turnedTo + 1, tick - slots + 1); at <= tick; at += 1)
      due.push(...listSlot(endOf(at)).filter((entry) => entry.dueTick <= tick));
    turnedTo = tick;
    for (const entry of due) {
      // One before it may have stopped it, or started it anew.
      if (entry.next === entry || entry.dueTick > tick) continue;
      unlink(entry);
      entry.onDue();
    }
  }

  function beginTurning(): () => void {
    startedAt = timing.now();
    turnedTo = 0;
    return timing.every(tickMs, turn);
  }

  return {
    start(entry, delayMs) {
      unlink(entry);
      stopTurning ??= beginTurning();
      entry.dueTick = Math.max(Math.ceil((timing.now() - startedAt + delayMs) / tickMs), turnedTo + 1);
      const end = endOf(entry.dueTick);
      entry.next = end;
      entry.previous = end.previous;
      end.previous.next = entry;
      end.previous = entry;
      waiting += 1;
    },
    stop: unlink,
    // Only `start` puts entries in, and takes no others.
    list: () => ends.flatMap(listSlot) as Entry[],
  };
}

function listSlot(end: SlotEnd): WheelEntry[] {
  const entries: WheelEntry[] = [];
  for (let entry = end.next; entry !== end; entry = entry.next) entries.push(entry);
  return entries;
}
