import type { Reservation } from "../../domain/ledger/run-ledger.ts";
import {
  clockErrorMs,
  createPacer,
  slotToleranceMs,
  type Pace,
  type Pacer,
} from "../../domain/pace/pacer.ts";
import { relateClocks, type Clock, type ClockRelation } from "./clocks.ts";

/** The call slots that this process has reserved for one instance in Postgres. Moments are ms of the process's clock. */
export interface LaneSlots {
  /** Slots were reserved by a statement that was sent at `sentAt` and answered at `receivedAt`. */
  add(reservation: Reservation, pace: Pace, sentAt: number, receivedAt: number): void;
  /** The pace has changed since the slots were reserved: those that no longer fit it are given up. */
  adapt(pace: Pace): void;
  /** No call before this moment. */
  notBefore(at: number): void;
  /** When the next call may go; undefined: all slots have gone by. */
  nextAt(): number | undefined;
  /** A call goes now. */
  take(): TakenSlot;
}

/** A call that goes. */
export interface TakenSlot {
  /** The moment by the database's clock, rather too early than too late. */
  readonly askedAtMs: number;
  /** To be called when the request is on its way: opening a connection may have kept it. */
  readonly onSent: () => void;
}

/** Slots of one reservation, with the clocks as they stood then. */
interface Region {
  readonly clocks: ClockRelation;
  readonly fromMs: number;
  readonly untilMs: number;
}

export function createLaneSlots(clock: Clock): LaneSlots {
  let pacer: Pacer | undefined;
  let regions: Region[] = [];
  /** The latest relation of the clocks, for stamps. */
  let clocks: ClockRelation | undefined;

  function nextAt(): number | undefined {
    if (pacer === undefined) return undefined;
    const now = clock.now();
    regions = regions.filter((region) => isOpen(region, now));
    for (let region = regions[0]; region !== undefined; region = regions[0]) {
      pacer.startAt(region.clocks.surelyAfter(region.fromMs));
      const at = pacer.nextAt();
      if (isOpen(region, at)) return at;
      // Pushed out of its region by calls that went late: the next one is looked at.
      regions.shift();
    }
    return undefined;
  }

  return {
    add(reservation, pace, sentAt, receivedAt) {
      clocks = relateClocks(reservation.databaseNowMs, sentAt, receivedAt);
      regions.push({ clocks, fromMs: reservation.slotsFromMs, untilMs: reservation.slotsUntilMs });
      if (pacer) pacer.setPace(pace);
      else pacer = createPacer(pace, clocks.surelyAfter(reservation.slotsFromMs));
    },
    adapt(pace) {
      pacer?.setPace(pace);
    },
    notBefore(at) {
      pacer?.startAt(at);
    },
    nextAt,
    take() {
      const at = clock.now();
      const call = pacer?.sent(at) ?? 0;
      return { askedAtMs: clocks?.atLeast(at) ?? 0, onSent: () => pacer?.left(call, clock.now()) };
    },
  };
}

/** May a call still go in the region at `at`, ms of the process's clock? */
function isOpen({ clocks, untilMs }: Region, at: number): boolean {
  return clocks.atMost(at) <= untilMs + slotToleranceMs + clockErrorMs;
}
