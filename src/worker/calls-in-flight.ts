import { settleWithin } from "../lib/deadline.ts";

/** The calls of one process that are in flight, of all its instances. */
export interface CallsInFlight {
  readonly size: number;
  /** The call is in flight until it has ended, which the promise tells. It must not reject. */
  add(call: Promise<void>): void;
  /** Waits until the calls that are in flight now have ended, but not longer than `ms`. */
  settle(ms: number): Promise<void>;
}

export function createCallsInFlight(): CallsInFlight {
  const calls = new Set<Promise<void>>();
  return {
    get size() {
      return calls.size;
    },
    add(call) {
      calls.add(call);
      void call.finally(() => calls.delete(call));
    },
    async settle(ms) {
      await settleWithin(Promise.allSettled(calls), ms);
    },
  };
}
