import type { ClaimFence } from "../domain/ledger/run-ledger.ts";
import { settleWithin } from "../lib/deadline.ts";
import type { Clock } from "./run/clocks.ts";

/** The calls of one process that are in flight, of all its instances. */
export interface CallsInFlight {
  readonly size: number;
  /** The call is in flight until it has ended, which the returned promise tells. It must not reject. */
  add(call: Promise<void>, claim: ClaimFence): Promise<void>;
  /** The claims of calls that have been in flight for longer than this. */
  listOlderThan(ms: number): ClaimFence[];
  /** Waits until the calls that are in flight now have ended, but not longer than `ms`. */
  settle(ms: number): Promise<void>;
}

export function createCallsInFlight(clock: Clock): CallsInFlight {
  const calls = new Map<Promise<void>, { readonly claim: ClaimFence; readonly since: number }>();
  return {
    get size() {
      return calls.size;
    },
    add(call, claim) {
      const ended = call.finally(() => calls.delete(ended));
      calls.set(ended, { claim, since: clock.now() });
      return ended;
    },
    listOlderThan(ms) {
      const oldEnough = clock.now() - ms;
      return [...calls.values()].filter(({ since }) => since < oldEnough).map(({ claim }) => claim);
    },
    async settle(ms) {
      await settleWithin(Promise.allSettled(calls.keys()), ms);
    },
  };
}
