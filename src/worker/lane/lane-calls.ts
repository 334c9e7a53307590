import type { Lookup } from "../../domain/outcome.ts";
import type { Clock } from "./clocks.ts";
import { countAnswer, createTally, touch, type Tally } from "./tally.ts";

/** The calls of one instance in this process, of whatever run. */
export interface LaneCalls {
  /** How many are in flight. */
  readonly inFlight: number;
  /** Those that were answered. */
  readonly tally: Tally;
  /** A call begins. */
  begin(now: number): void;
  /** A call that began was answered, or given up after it had left. */
  count(lookup: Lookup): void;
  /** A call that began has ended, with all that followed from it. */
  end(): void;
  /** Resolves when none is in flight. */
  settle(): Promise<void>;
}

/** @param onEnd told when a call has ended */
export function createLaneCalls(clock: Clock, onEnd: () => void): LaneCalls {
  const tally = createTally(toSecond(clock.now()));
  let inFlight = 0;
  let waiting: (() => void)[] = [];
  return {
    get inFlight() {
      return inFlight;
    },
    tally,
    begin(now) {
      inFlight += 1;
      touch(tally, toSecond(now));
    },
    count(lookup) {
      touch(tally, toSecond(clock.now()));
      countAnswer(tally, lookup);
    },
    end() {
      inFlight -= 1;
      onEnd();
      if (inFlight > 0 || waiting.length === 0) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    async settle() {
      if (inFlight > 0) await new Promise<void>((resolve) => void waiting.push(resolve));
    },
  };
}

/** Whole seconds of the process's clock. */
export function toSecond(now: number): number {
  return Math.floor(now / 1000);
}
