import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTimerWheel, WheelEntry } from "../../src/lib/timer-wheel.ts";

/** Longer than one turn of the wheel. */
const longMs = 500_000;

class Wait extends WheelEntry {
  readonly name: string;
  readonly #then: (wait: Wait) => void;

  constructor(name: string, then: (wait: Wait) => void) {
    super();
    this.name = name;
    this.#then = then;
  }

  override onDue(): void {
    this.#then(this);
  }
}

/** A wheel on a clock that moves only when it is told to. */
function openWheel(startMs = 12_345.6) {
  let nowMs = startMs;
  let ticking: { readonly ms: number; readonly turn: () => void; nextAt: number } | undefined;
  const wheel = createTimerWheel<Wait>({
    now: () => nowMs,
    every(ms, turn) {
      const mine = { ms, turn, nextAt: nowMs + ms };
      ticking = mine;
      return () => {
        if (ticking === mine) ticking = undefined;
      };
    },
  });
  const due: [string, number][] = [];
  const note = ({ name }: Wait) => void due.push([name, nowMs - startMs]);
  return {
    wheel,
    due,
    wait: (name: string, then = note) => new Wait(name, then),
    isTicking: () => ticking !== undefined,
    pass(ms: number) {
      const until = nowMs + ms;
      for (let turning = ticking; turning !== undefined && turning.nextAt <= until; turning = ticking) {
        nowMs = turning.nextAt;
        turning.nextAt += turning.ms;
        turning.turn();
      }
      nowMs = until;
    },
    /** The event loop stands still, or the machine sleeps. */
    freeze(ms: number) {
      nowMs += ms;
      ticking?.turn();
    },
  };
}

describe("a timer wheel", () => {
  test("calls what is due in its time: never earlier, and two ticks later at most", () => {
    const delays = fc.array(fc.record({ afterMs: fc.nat(2_000), delayMs: fc.nat(longMs) }), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(delays, (steps) => {
        const { wheel, due, wait, pass } = openWheel();
        let atMs = 0;
        const wanted = new Map<string, number>();
        for (const [index, { afterMs, delayMs }] of steps.entries()) {
          pass(afterMs);
          atMs += afterMs;
          wanted.set(String(index), atMs + delayMs);
          wheel.start(wait(String(index)), delayMs);
        }
        pass(longMs + 1_000);
        expect(due.map(([name]) => name).toSorted()).toEqual([...wanted.keys()].toSorted());
        for (const [name, at] of due) {
          const late = at - (wanted.get(name) ?? 0);
          expect(late).toBeGreaterThanOrEqual(-1e-6);
          expect(late).toBeLessThanOrEqual(500);
        }
      }),
    );
  });

  test("does not call what was stopped, and stopping twice is harmless", () => {
    const { wheel, due, wait, pass } = openWheel();
    const [first, second] = [wait("first"), wait("second")];
    wheel.start(first, 1_000);
    wheel.start(second, 1_000);
    wheel.stop(first);
    wheel.stop(first);
    pass(2_000);
    expect(due.map(([name]) => name)).toEqual(["second"]);
    wheel.stop(second);
  });

  test("lists what waits", () => {
    const { wheel, wait, pass } = openWheel();
    const [soon, late] = [wait("soon"), wait("late")];
    wheel.start(soon, 100);
    wheel.start(late, longMs);
    expect(new Set(wheel.list())).toEqual(new Set([soon, late]));
    pass(1_000);
    expect(wheel.list()).toEqual([late]);
  });

  test("moves what is started anew", () => {
    const { wheel, due, wait, pass } = openWheel();
    const entry = wait("moved");
    wheel.start(entry, 500);
    pass(400);
    wheel.start(entry, 5_000);
    pass(4_000);
    expect(due).toEqual([]);
    pass(2_000);
    expect(due).toHaveLength(1);
  });

  test("lets what is due stop its neighbours, and start itself anew", () => {
    const { wheel, due, wait, pass } = openWheel();
    const victim = wait("victim");
    const killer = wait("killer", (self) => {
      due.push(["killer", 0]);
      wheel.stop(victim);
      if (due.length < 3) wheel.start(self, 0);
    });
    wheel.start(killer, 300);
    wheel.start(victim, 300);
    pass(3_000);
    expect(due.map(([name]) => name)).toEqual(["killer", "killer", "killer"]);
    expect(wheel.list()).toEqual([]);
  });

  test("calls all that became due while nothing turned it", () => {
    const { wheel, due, wait, freeze } = openWheel();
    for (const delayMs of [100, 10_000, 127_000, 130_000, 400_000])
      wheel.start(wait(String(delayMs)), delayMs);
    wheel.start(wait("not yet"), 700_000);
    freeze(600_000);
    expect(due.map(([name]) => name).toSorted()).toEqual(["100", "10000", "127000", "130000", "400000"]);
  });

  test("turns only while something waits", () => {
    const { wheel, due, wait, pass, isTicking } = openWheel();
    expect(isTicking()).toBe(false);
    wheel.start(wait("one"), 300);
    expect(isTicking()).toBe(true);
    pass(5_000);
    expect(isTicking()).toBe(false);
    wheel.start(wait("two"), 300);
    pass(1_000);
    expect(due.map(([name]) => name)).toEqual(["one", "two"]);
  });
});
