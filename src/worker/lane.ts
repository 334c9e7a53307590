import { randomUUID } from "node:crypto";
import type { InstanceId } from "../domain/instance-id.ts";
import type { Reservation } from "../domain/ledger.ts";
import { clockErrorMs, createPacer, slotToleranceMs, type Pace, type Pacer } from "../domain/pacer.ts";
import { relateClocks, type Clock, type ClockRelation } from "./clocks.ts";

/** Call slots reserved in Postgres, with the clocks as they stood then. */
interface Region {
  readonly clocks: ClockRelation;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** May a call still go in the region at `at`, ms of our clock? */
function isOpen({ clocks, untilMs }: Region, at: number): boolean {
  return clocks.atMost(at) <= untilMs + slotToleranceMs + clockErrorMs;
}

/**
 * What one process knows of one instance beyond a single run: how it was called of late, and what is in
 * flight. Runs come and go; their calls stay in the lane until they are answered, so that a run may hand
 * over while a call takes its 70 s.
 */
export interface Lane {
  readonly instanceId: InstanceId;
  /** Who reserved slots: the same as long as this process lives. */
  readonly id: string;
  /** Calls that are in flight. */
  inFlight: number;
  /** As many may be, by the latest claim: a new run meets the calls of the last one. */
  maxInFlight: number;
  /** Counts up when an answer says that the instance is in trouble: runs that began before it stop. */
  holds: number;
  /** Resolves when a call has ended. */
  nextEnd(): Promise<void>;
  callEnded(): void;
  /** Slots were reserved by a statement that was sent at `sentAt` and answered at `receivedAt`. */
  addSlots(reservation: Reservation, pace: Pace, sentAt: number, receivedAt: number): void;
  /** When the next call may go (ms of our clock), or undefined when all slots have gone by. */
  nextSlotAt(): number | undefined;
  /** A call goes now. Returns the moment by the database's clock, rather too early than too late. */
  takeSlot(): number;
}

export function createLane(instanceId: InstanceId, clock: Clock): Lane {
  let pacer: Pacer | undefined;
  let regions: Region[] = [];
  /** The latest relation of the clocks, for stamps. */
  let clocks: ClockRelation | undefined;
  let waiting: (() => void)[] = [];

  /** The region that a call may go in at `at`, forgetting those that have passed. */
  const findRegion = (at: number) => {
    regions = regions.filter((region) => isOpen(region, at));
    return regions[0];
  };

  return {
    instanceId,
    id: randomUUID(),
    inFlight: 0,
    maxInFlight: Infinity,
    holds: 0,
    nextEnd: () => new Promise<void>((resolve) => waiting.push(resolve)),
    callEnded() {
      this.inFlight -= 1;
      const woken = waiting;
      waiting = [];
      for (const wake of woken) wake();
    },
    addSlots(reservation, pace, sentAt, receivedAt) {
      clocks = relateClocks(reservation.databaseNowMs, sentAt, receivedAt);
      regions.push({ clocks, fromMs: reservation.slotsFromMs, untilMs: reservation.slotsUntilMs });
      if (pacer) pacer.setPace(pace);
      else pacer = createPacer(pace, clocks.surelyAfter(reservation.slotsFromMs));
    },
    nextSlotAt() {
      const region = findRegion(clock.now());
      if (region === undefined || pacer === undefined) return undefined;
      pacer.startAt(region.clocks.surelyAfter(region.fromMs));
      const at = pacer.nextAt();
      // Pushed out of its region by calls that went late: look at the next one.
      if (isOpen(region, at)) return at;
      regions.shift();
      return this.nextSlotAt();
    },
    takeSlot() {
      const at = clock.now();
      pacer?.sent(at);
      return clocks?.atLeast(at) ?? 0;
    },
  };
}
