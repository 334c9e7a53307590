import type { Allowance, DayCalls } from "../../domain/ledger/lease.ts";

/**
 * What one lease still allows: until when calls may leave, and how many, by its instance's care. Moments are ms of the process's
 * clock.
 */
export interface CallAllowance {
  /** The lease is taken, or renewed, by a statement that was sent at `sentAt`. @param allowance undefined: the instance has no care */
  renew(allowance: Allowance | undefined, sentAt: number): void;
  /** The lease is over: no renewal whose answer comes still makes anything leave. */
  end(): void;
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

/** @param lastsMs how long calls may leave after a renewal was sent */
export function createCallAllowance(lastsMs: number): CallAllowance {
  let isOver = false;
  let leaseEndsAt = -Infinity;
  /** The day that was granted last, also where there is no cap any more. */
  let day: string | undefined;
  let granted = Infinity;
  let spent = 0;
  let waiting = 0;
  let careEndsAt = Infinity;
  const isOpen = (now: number) => !isOver && now < leaseEndsAt && now < careEndsAt;
  return {
    renew(allowance, sentAt) {
      const grant = allowance?.grant;
      leaseEndsAt = sentAt + lastsMs;
      careEndsAt = sentAt + leastPace * (allowance?.endsInMs ?? Infinity);
      granted = grant?.calls ?? Infinity;
      if (grant === undefined || grant.day === day) return;
      ({ day } = grant);
      spent = 0;
    },
    end() {
      isOver = true;
    },
    hasRoom: (now) => isOpen(now) && spent + waiting < granted,
    send() {
      waiting += 1;
    },
    mayLeave: (now) => isOpen(now) && spent < granted,
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
