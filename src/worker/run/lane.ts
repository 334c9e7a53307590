import { randomUUID } from "node:crypto";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ClaimFence } from "../../domain/ledger/run-ledger.ts";
import type { Clock } from "./clocks.ts";
import { createLaneCalls, type LaneCalls } from "./lane-calls.ts";
import { createLaneSlots, type LaneSlots } from "./lane-slots.ts";
import { createRecurringEvent } from "./recurring-event.ts";

/**
 * One instance in one process, beyond a single run: how it was called of late, and what is in flight. Runs come and go; their calls
 * stay in the lane until they are answered. So a run may hand over while a call takes its 70 s.
 */
export interface Lane {
  readonly instanceId: InstanceId;
  /** The name under which slots are reserved: the same as long as this process lives. */
  readonly id: string;
  readonly calls: LaneCalls;
  readonly slots: LaneSlots;
  /** Claims of its runs that wait for their slot: to be kept alive as those of calls in flight are. */
  readonly unsent: Set<ClaimFence>;
  /** Counts how often its runs were stopped: a run sends nothing in another epoch than the one it began in. */
  readonly epoch: number;
  /** An answer says that the instance is in trouble: runs that have begun send nothing more. */
  stopRuns(): void;
  /** No call is sent until `resumeCalls` was called as often: whether the instance is in trouble is being found out. */
  pauseCalls(): void;
  resumeCalls(): void;
  /** Resolves when calls may be sent; undefined: they may. */
  whenResumed(): Promise<void> | undefined;
}

export function createLane(instanceId: InstanceId, clock: Clock): Lane {
  let epoch = 0;
  let pauses = 0;
  const resumptions = createRecurringEvent();
  return {
    instanceId,
    id: randomUUID(),
    calls: createLaneCalls(clock),
    slots: createLaneSlots(clock),
    unsent: new Set(),
    get epoch() {
      return epoch;
    },
    stopRuns() {
      epoch += 1;
    },
    pauseCalls() {
      pauses += 1;
    },
    resumeCalls() {
      pauses -= 1;
      if (pauses === 0) resumptions.fire();
    },
    whenResumed: () => (pauses > 0 ? resumptions.next() : undefined),
  };
}
