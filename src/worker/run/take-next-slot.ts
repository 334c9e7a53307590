import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import { sleep } from "../../lib/deadline.ts";
import type { Clock } from "./clocks.ts";
import type { TakenSlot } from "./lane-slots.ts";
import type { Lane } from "./lane.ts";
import type { RunClaims } from "./run-claims.ts";
import { lookEveryMs, type RunEnd, type RunStop } from "./run-stop.ts";

export interface SlotPorts {
  readonly ledger: Pick<RunLedger, "reserveCalls">;
  readonly clock: Clock;
  readonly lane: Lane;
  readonly claims: Pick<RunClaims, "lookAtInstance">;
  readonly stop: RunStop;
  /** Contacts that wait for a slot: as many are reserved anew where the reserved ones have gone by. */
  readonly unsent: { readonly size: number };
}

const slowDatabasePauseMs = 250;

/** Waits for the next slot of a lane and takes it, or returns why the run must not send. */
export async function takeNextSlot(ports: SlotPorts): Promise<TakenSlot | RunEnd> {
  const { lane, clock, claims, stop } = ports;
  for (;;) {
    await waitUntilResumed(lane, stop);
    const reason = stop.findReason();
    if (reason) return reason;
    const at = lane.slots.nextAt();
    if (at === undefined) {
      if (!(await reserveSlots(ports))) return "held";
      continue;
    }
    const waitMs = at - clock.now();
    if (waitMs <= 0) return lane.slots.take();
    await sleep(Math.min(waitMs, lookEveryMs), stop.signal);
    const refusal = waitMs > lookEveryMs ? await claims.lookAtInstance() : undefined;
    if (refusal) return refusal;
  }
}

/** Waits while it is being found out whether the instance is in trouble: what follows depends on it. */
async function waitUntilResumed(lane: Lane, stop: RunStop): Promise<void> {
  for (
    let resumed = lane.whenResumed();
    resumed && stop.findReason() === undefined;
    resumed = lane.whenResumed()
  ) {
    await stop.waitFor(resumed, lookEveryMs);
  }
}

/** Reserves slots anew. False: the instance may not be called. */
async function reserveSlots({ ledger, clock, lane, stop, unsent }: SlotPorts): Promise<boolean> {
  const sentAt = clock.now();
  const request = { instanceId: lane.instanceId, laneId: lane.id, calls: unsent.size };
  const reservation = await ledger.reserveCalls(request);
  if (reservation === undefined) return false;
  lane.slots.add(reservation, reservation.pace, sentAt, clock.now());
  // The database is too slow for its slots to be of use: asking it again at once would not make it faster.
  if (lane.slots.nextAt() === undefined) await sleep(slowDatabasePauseMs, stop.signal);
  return true;
}
