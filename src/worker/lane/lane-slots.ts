import type { HandOver, TakenLease } from "../../domain/ledger/lease.ts";
import { createPacer, type Pace, type Pacer } from "../../domain/pace/pacer.ts";
import type { CallAllowance } from "./call-allowance.ts";
import type { Clock, DatabaseClock } from "./clocks.ts";

/** The call slots of one instance in this process. Moments are ms of the process's clock, but where they are told otherwise. */
export interface LaneSlots {
  /** A lease begins: calls may go as far as `allowance` says, and begin where the last lease has left off. */
  open(lease: TakenLease, allowance: CallAllowance): void;
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
  nextAt(now?: number): number;
  /** A call goes now. */
  take(now?: number): TakenSlot;
  /** The lease ends: nothing leaves any more. Returns what the next one must know. */
  close(): Pick<HandOver, "nextCallInMs" | "recentAgesMs">;
}

/** What calls of one lease go under. */
interface OpenLease {
  readonly allowance: CallAllowance;
  readonly pacer: Pacer;
}

/** A call that goes, until it has left or ended: it counts once. An object with methods, since each closure would be one more. */
export class TakenSlot {
  /** The moment by the database's clock, rather too early than too late. */
  readonly askedAtMs: number;
  /** The same by the process's clock. */
  readonly sentAt: number;
  readonly #clock: Clock;
  /** Undefined: there was no lease. */
  readonly #lease: OpenLease | undefined;
  #isOver = false;

  constructor(sentAt: number, askedAtMs: number, clock: Clock, lease: OpenLease | undefined) {
    this.sentAt = sentAt;
    this.askedAtMs = askedAtMs;
    this.#clock = clock;
    this.#lease = lease;
    lease?.pacer.send(sentAt);
    lease?.allowance.send();
  }

  /**
   * To be asked at the moment when the request is written: opening a connection may have kept it. False: nothing may be sent
   * any more. Counts the call.
   */
  mayLeave(): boolean {
    const lease = this.#lease;
    if (this.#isOver || lease === undefined) return false;
    this.#isOver = true;
    const now = this.#clock.now();
    const isAllowed = lease.allowance.mayLeave(now);
    const leaves = isAllowed && lease.pacer.leave(now);
    if (!isAllowed) lease.pacer.drop();
    if (leaves) lease.allowance.leave();
    else lease.allowance.drop();
    return leaves;
  }

  /** The call has ended. Harmless where it had left. */
  end(): void {
    if (!this.#isOver) {
      this.#lease?.pacer.drop();
      this.#lease?.allowance.drop();
    }
    this.#isOver = true;
  }
}

export function createLaneSlots(clock: Clock, database: DatabaseClock): LaneSlots {
  let pacer: Pacer | undefined;
  let adaptedAt = -Infinity;
  /** The lease that calls go under; undefined: there is none. */
  let open: OpenLease | undefined;
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
    open(lease, allowance) {
      pacer ??= createPacer(lease.instance, -Infinity);
      pacer.setPace(lease.instance);
      // Our own calls are known here, and better.
      if (lease.epoch - 1 !== lastEpoch) follow(pacer, lease);
      lastEpoch = lease.epoch;
      open?.allowance.end();
      open = { allowance, pacer };
    },
    adapt(pace, seenAt = clock.now()) {
      if (seenAt < adaptedAt) return;
      adaptedAt = seenAt;
      pacer?.setPace(pace);
    },
    notBefore(at) {
      pacer?.startAt(at);
    },
    nextAt: (now = clock.now()) =>
      open === undefined || !open.allowance.hasRoom(now) ? Infinity : open.pacer.nextAt(),
    take: (now = clock.now()) => new TakenSlot(now, database.atLeast(now), clock, open),
    close() {
      open?.allowance.end();
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
