import { randomUUID } from "node:crypto";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ClaimFence, Reservation } from "../../domain/ledger/run-ledger.ts";
import {
  clockErrorMs,
  createPacer,
  slotToleranceMs,
  type Pace,
  type Pacer,
} from "../../domain/pace/pacer.ts";
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
  readonly inFlight: number;
  /** The mean time of an answer, ms, the latest ones counting most; undefined before the first. */
  readonly meanLatencyMs: number | undefined;
  /** Claims of its runs that wait for their slot: to be kept alive as those of calls in flight are. */
  readonly unsent: Set<ClaimFence>;
  /** Counts up when an answer says that the instance is in trouble: runs that began before it stop. */
  holds: number;
  /** A call is in flight from now until the returned function is called. */
  callStarted(): () => void;
  /** Resolves when a call has ended. */
  nextEnd(): Promise<void>;
  /** No call is sent until as many `resumeCalls`: somebody finds out whether the instance is in trouble. */
  pauseCalls(): void;
  resumeCalls(): void;
  /** Resolves when calls may be sent; undefined: they may. */
  whenResumed(): Promise<void> | undefined;
  /** Slots were reserved by a statement that was sent at `sentAt` and answered at `receivedAt`. */
  addSlots(reservation: Reservation, pace: Pace, sentAt: number, receivedAt: number): void;
  /** The pace has changed since the slots were reserved: those that no longer fit it are given up. */
  adapt(pace: Pace): void;
  /** No call before this moment, ms of our clock. */
  notBefore(at: number): void;
  /** When the next call may go (ms of our clock), or undefined when all slots have gone by. */
  nextSlotAt(): number | undefined;
  /** A call goes now. */
  takeSlot(): TakenSlot;
}

/** A call that goes. */
export interface TakenSlot {
  /** The moment by the database's clock, rather too early than too late. */
  readonly askedAtMs: number;
  /** To be called when the request is on its way: opening a connection may have kept it. */
  readonly onSent: () => void;
}

/** The weight of one answer in the mean of their times. */
const latencyWeight = 0.05;

export function createLane(instanceId: InstanceId, clock: Clock): Lane {
  let pacer: Pacer | undefined;
  let regions: Region[] = [];
  /** The latest relation of the clocks, for stamps. */
  let clocks: ClockRelation | undefined;
  let inFlight = 0;
  let meanLatencyMs: number | undefined;
  let pauses = 0;
  const ends = createSignal();
  const resumptions = createSignal();

  /** The region that a call may go in at `at`, forgetting those that have passed. */
  const findRegion = (at: number) => {
    regions = regions.filter((region) => isOpen(region, at));
    return regions[0];
  };

  return {
    instanceId,
    id: randomUUID(),
    get inFlight() {
      return inFlight;
    },
    get meanLatencyMs() {
      return meanLatencyMs;
    },
    unsent: new Set(),
    holds: 0,
    callStarted() {
      const startedAt = clock.now();
      inFlight += 1;
      return () => {
        inFlight -= 1;
        const tookMs = clock.now() - startedAt;
        meanLatencyMs =
          meanLatencyMs === undefined ? tookMs : meanLatencyMs + latencyWeight * (tookMs - meanLatencyMs);
        ends.fire();
      };
    },
    nextEnd: ends.next,
    pauseCalls() {
      pauses += 1;
    },
    resumeCalls() {
      pauses -= 1;
      if (pauses === 0) resumptions.fire();
    },
    whenResumed: () => (pauses > 0 ? resumptions.next() : undefined),
    addSlots(reservation, pace, sentAt, receivedAt) {
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
      const call = pacer?.sent(at) ?? 0;
      return { askedAtMs: clocks?.atLeast(at) ?? 0, onSent: () => pacer?.left(call, clock.now()) };
    },
  };
}

/** Something that happens again and again, for whoever waits for the next time. */
function createSignal(): { fire(): void; next(): Promise<void> } {
  let waiting: (() => void)[] = [];
  return {
    fire() {
      const woken = waiting;
      waiting = [];
      for (const wake of woken) wake();
    },
    next: () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
}
