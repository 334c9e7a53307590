import { settleWithin } from "../lib/deadline.ts";

/** The calls of one process that are in flight, of all its instances. */
export interface CallsInFlight {
  readonly size: number;
  /** A call begins. */
  begin(): void;
  /** A call that began has ended. */
  end(): void;
  /** Waits until no call is in flight, but not longer than `ms`. */
  settle(ms: number): Promise<void>;
}

export function createCallsInFlight(): CallsInFlight {
  let size = 0;
  let waiting: (() => void)[] = [];
  return {
    get size() {
      return size;
    },
    begin() {
      size += 1;
    },
    end() {
      size -= 1;
      if (size > 0) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    async settle(ms) {
      if (size > 0) await settleWithin(new Promise<void>((resolve) => void waiting.push(resolve)), ms);
    },
  };
}
