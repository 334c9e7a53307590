import type { InstanceId } from "../domain/instance-id.ts";
import type { RunLedger } from "../domain/ledger/run-ledger.ts";
import {
  createContactCalls,
  type CallContact,
  type ContactCallEvents,
  type ContactCallsPorts,
} from "./contact-calls.ts";
import type { DatabaseClock } from "./lane/clocks.ts";
import { createLane, type Lane } from "./lane/lane.ts";
import { createBreaker, type Breaker, type BreakerPorts } from "./trouble/breaker.ts";
import {
  createInstanceCheck,
  type InstanceCheckEvents,
  type InstanceCheckPorts,
} from "./trouble/check-instance.ts";
import type { InstanceHoldEvents } from "./trouble/instance-hold.ts";
import type { SlowDownEvents } from "./trouble/slow-down.ts";

export interface LanesPorts extends Omit<BreakerPorts, "check">, InstanceCheckPorts, ContactCallsPorts {
  readonly ledger: RunLedger;
  readonly database: DatabaseClock;
  readonly policy: ContactCallsPorts["policy"];
  readonly events: LaneEvents;
}

export interface LaneEvents
  extends ContactCallEvents, SlowDownEvents, InstanceCheckEvents, InstanceHoldEvents {}

/** An instance that this process works on: its lane, the breaker that guards it, and how its contacts are called. */
export interface GuardedLane {
  readonly lane: Lane;
  readonly breaker: Breaker;
  readonly call: CallContact;
}

/** The lanes of all instances that this process has worked on, each with its breaker. */
export interface Lanes {
  get(instanceId: InstanceId): GuardedLane;
  /** The lane of an instance; undefined: this process has not worked on it. */
  find(instanceId: InstanceId): Lane | undefined;
  list(): Lane[];
  /** Stops the breakers. */
  stop(): void;
}

export function createLanes(ports: LanesPorts): Lanes {
  const breakerPorts = { ...ports, check: createInstanceCheck(ports) };
  const lanes = new Map<InstanceId, GuardedLane>();
  return {
    get(instanceId) {
      const known = lanes.get(instanceId);
      if (known) return known;
      const lane = createLane(instanceId, ports.clock, ports.database);
      const breaker = createBreaker(breakerPorts, lane);
      const created = { lane, breaker, call: createContactCalls(ports, lane, breaker) };
      lanes.set(instanceId, created);
      return created;
    },
    find: (instanceId) => lanes.get(instanceId)?.lane,
    list: () => [...lanes.values()].map(({ lane }) => lane),
    stop() {
      for (const { breaker } of lanes.values()) breaker.stop();
    },
  };
}
