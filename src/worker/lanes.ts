import type { InstanceId } from "../domain/instance-id.ts";
import type { RunLedger } from "../domain/ledger/run-ledger.ts";
import type { ProbePolicy } from "../domain/trouble/hold.ts";
import type { GuardedLane } from "./contact-calls.ts";
import type { Clock, DatabaseClock } from "./lane/clocks.ts";
import { createLane, type Lane } from "./lane/lane.ts";
import type { LaneCalls } from "./lane/lane-calls.ts";
import { createBreaker, type BreakerEvents, type BreakerPorts } from "./trouble/breaker.ts";
import {
  createInstanceCheck,
  type InstanceCheckEvents,
  type InstanceCheckPorts,
} from "./trouble/check-instance.ts";
import { createInstanceHolds, type InstanceHoldsEvents } from "./trouble/instance-holds.ts";
import { createProbes, type ProbePorts } from "./trouble/probes.ts";

export interface LanesPorts {
  readonly ledger: RunLedger;
  readonly betweenSaves: ProbePorts["betweenSaves"];
  readonly clock: Clock;
  readonly database: DatabaseClock;
  readonly getState: InstanceCheckPorts["getState"];
  readonly save: BreakerPorts["save"];
  /** Asks for a run of the instance in `afterMs`: a retry is due then, or a hold ends. */
  readonly wakeAfter: (instanceId: InstanceId, afterMs: number) => void;
  readonly policy: ProbePolicy;
  /** Ends looks at the state that are under way. */
  readonly signal: AbortSignal;
  readonly events: LaneEvents;
}

export interface LaneEvents extends BreakerEvents, InstanceCheckEvents, InstanceHoldsEvents {}

/** The lanes of all instances that this process has worked on, each with its breaker. */
export interface Lanes {
  get(instanceId: InstanceId): GuardedLane;
  /** The lane of an instance; undefined: this process has not worked on it. */
  find(instanceId: InstanceId): Lane | undefined;
  /** The calls of each. */
  readonly calls: ReadonlyMap<InstanceId, LaneCalls>;
  /** Stops the breakers. */
  stop(): void;
}

export function createLanes(ports: LanesPorts): Lanes {
  const { ledger, betweenSaves, clock, database, policy, signal, events, wakeAfter, getState, save } = ports;
  const holds = createInstanceHolds({ ledger, policy, wakeAfter, events });
  const check = createInstanceCheck({ ledger, getState, policy, clock, events, signal });
  const probes = createProbes({ ledger, betweenSaves, check, holds, events });
  const lanes = new Map<InstanceId, GuardedLane>();
  const calls = new Map<InstanceId, LaneCalls>();
  return {
    calls,
    get(instanceId) {
      const known = lanes.get(instanceId);
      if (known) return known;
      const lane = createLane(instanceId, clock, database);
      const breakerPorts = { ledger, clock, check, holds, probes, save, wakeAfter, events };
      const created = { lane, breaker: createBreaker(breakerPorts, lane) };
      lanes.set(instanceId, created);
      calls.set(instanceId, lane.calls);
      return created;
    },
    find: (instanceId) => lanes.get(instanceId)?.lane,
    stop() {
      for (const { breaker } of lanes.values()) breaker.stop();
    },
  };
}
