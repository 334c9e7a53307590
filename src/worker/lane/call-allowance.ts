import type { Allowance, DayCalls } from "../../domain/ledger/lease.ts";

/** The calls that one lease may still make, by its instance's care. Moments are ms of the process's clock. */
export interface CallAllowance {
  /** A renewal has told what may be done from now on; undefined: anything. @param sentAt when its statement was sent */
  renew(allowance: Allowance | undefined, sentAt: number): void;
  /** May one more call be sent? Those that wait for their connection are taken for calls that leave. */
  hasRoom(now: number): boolean;
  /** A call is sent. It has not left yet. */
  send(): void;
  /** May it leave? */
  mayLeave(now: number): boolean;
  /** A call that was sent leaves now; or has ended without. */
  leave(): void;
  drop(): void;
  /** Calls that have left on the day that was granted last; undefined: none was. */
  readonly spent: DayCalls | undefined;
}

/** The process's clock may be slower than the database's by this much. Each renewal counts anew: near the end that is a few ms. */
const leastPace = 0.999;

export function createCallAllowance(): CallAllowance {
  /** The day that was granted last, also where there is no cap any more. */
  let day: string | undefined;
  let granted = Infinity;
  let spent = 0;
  let waiting = 0;
  let endsAt = Infinity;
  return {
    renew(allowance, sentAt) {
      const grant = allowance?.grant;
      endsAt = sentAt + leastPace * (allowance?.endsInMs ?? Infinity);
      granted = grant?.calls ?? Infinity;
      if (grant === undefined || grant.day === day) return;
      ({ day } = grant);
      spent = 0;
    },
    hasRoom: (now) => now < endsAt && spent + waiting < granted,
    send() {
      waiting += 1;
    },
    mayLeave: (now) => now < endsAt && spent < granted,
    leave() {
      waiting -= 1;
      // Without a cap there is no day that they would count for.
      if (granted < Infinity) spent += 1;
    },
    drop() {
      waiting -= 1;
    },
    get spent() {
      return day === undefined ? undefined : { day, calls: spent };
    },
  };
}
