import type { HandOver, TakenLease } from "../../domain/ledger/lease.ts";
import { createPacer, type Pace, type Pacer } from "../../domain/pace/pacer.ts";
import type { CallAllowance } from "./call-allowance.ts";
import type { Clock, DatabaseClock } from "./clocks.ts";

/** The call slots of one instance in this process. Moments are ms of the process's clock, but where they are told otherwise. */
export interface LaneSlots {
  /**
   * A lease begins: calls may go until `endsAt`, and begin where the last lease has left off.
   * @param endsAt asked at each call, since renewals put it off
   * @param allowance the calls that this lease may make
   */
  open(lease: TakenLease, endsAt: () => number, allowance: CallAllowance): void;
  /**
   * The pace has changed.
   * @param seenAt when that was asked; what was asked earlier than the last such change is old news. Undefined: now.
   */
  adapt(pace: Pace, seenAt?: number): void;
  /** No call before this moment. */
  notBefore(at: number): void;
  /**
   * When the next call may go. Infinity: not before one that waits for its connection has left, or a renewal has allowed more.
   */
  nextAt(): number;
  /** A call goes now. */
  take(): TakenSlot;
  /** The lease ends: nothing leaves any more. Returns what the next one must know. */
  close(): Pick<HandOver, "nextCallInMs" | "recentAgesMs">;
}

/** A call that goes. */
export interface TakenSlot {
  /** The moment by the database's clock, rather too early than too late. */
  readonly askedAtMs: number;
  /**
   * To be asked at the moment when the request is written: opening a connection may have kept it. False: nothing may be sent
   * any more. Counts the call.
   */
  readonly mayLeave: () => boolean;
  /** The call has ended. Harmless where it had left. */
  readonly ended: () => void;
}

export function createLaneSlots(clock: Clock, database: DatabaseClock): LaneSlots {
  let pacer: Pacer | undefined;
  let adaptedAt = -Infinity;
  /** The lease that calls go under; each has an object of its own. */
  let open: { readonly endsAt: () => number; readonly allowance: CallAllowance } | undefined;
  /** The last lease that this process has had. */
  let lastEpoch: number | undefined;

  /**
   * The last lease was given back before the answer that brought this one, perhaps long before. Its calls count as if that had been the
   * moment: so nothing hangs on the database's clock, which may have been set since.
   */
  function follow(to: Pacer, lease: TakenLease): void {
    const now = clock.now();
    const { callsFromMs, recentCallsMs, databaseNowMs, handedOverAtMs = databaseNowMs } = lease;
    to.add(recentCallsMs.map((left) => now + left - handedOverAtMs));
    to.startAt(now + callsFromMs - handedOverAtMs);
  }

  return {
    open(lease, endsAt, allowance) {
      open = { endsAt, allowance };
      pacer ??= createPacer(lease.instance, -Infinity);
      pacer.setPace(lease.instance);
      // Our own calls are known here, and better.
      if (lease.epoch - 1 !== lastEpoch) follow(pacer, lease);
      lastEpoch = lease.epoch;
    },
    adapt(pace, seenAt = clock.now()) {
      if (seenAt < adaptedAt) return;
      adaptedAt = seenAt;
      pacer?.setPace(pace);
    },
    notBefore(at) {
      pacer?.startAt(at);
    },
    nextAt: () => (open?.allowance.hasRoom(clock.now()) === false ? Infinity : (pacer?.nextAt() ?? Infinity)),
    take() {
      const under = open;
      const at = clock.now();
      let isOver = false;
      pacer?.send(at);
      under?.allowance.send();
      const mayLeaveAt = (now: number) =>
        under !== undefined && under === open && now < under.endsAt() && under.allowance.mayLeave(now);
      return {
        askedAtMs: database.atLeast(at),
        mayLeave() {
          if (isOver) return false;
          isOver = true;
          const now = clock.now();
          const isAllowed = mayLeaveAt(now);
          const leaves = isAllowed && (pacer?.leave(now) ?? false);
          if (!isAllowed) pacer?.drop();
          if (leaves) under?.allowance.leave();
          else under?.allowance.drop();
          return leaves;
        },
        ended() {
          if (!isOver) {
            pacer?.drop();
            under?.allowance.drop();
          }
          isOver = true;
        },
      };
    },
    close() {
      open = undefined;
      const now = clock.now();
      const nextAt = pacer?.nextAt() ?? now;
      return {
        nextCallInMs: Number.isFinite(nextAt) ? nextAt - now : 0,
        recentAgesMs: pacer?.listRecent(now).map((left) => now - left) ?? [],
      };
    },
  };
}
