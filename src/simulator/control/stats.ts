import type { EventLoopLag } from "./event-loop-lag.ts";
import type { Instance, Simulation } from "../world/world.ts";

/** The getAvatar calls of one instance. */
interface InstanceStats {
  readonly calls: number;
  /** Refused by the limiter. */
  readonly refused: number;
  /** The most calls that arrived within any one second, refused ones included. */
  readonly maxCallsInAnySecond: number;
  readonly stateCalls: number;
}

/** What happened since the start, the last reset, or the last clearing of the log. */
export interface SimulatorStats {
  /** getAvatar calls of all instances. */
  readonly calls: number;
  readonly stateCalls: number;
  /** getAvatar calls that the limiter refused; scripted 429s are not among them. */
  readonly refused: number;
  /** All answers with HTTP 429, of whatever cause. */
  readonly answered429: number;
  /** Of the instance with the highest. */
  readonly maxCallsInAnySecond: number;
  readonly inFlight: number;
  readonly peakInFlight: number;
  /** By HTTP status; 499 where the client hung up, 0 where the simulator sent none. */
  readonly callsByStatus: Readonly<Record<string, number>>;
  readonly eventLoopLagMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Calls that no longer fit into the log. */
  readonly forgottenCalls: number;
  readonly instances: Readonly<Record<string, InstanceStats>>;
}

export function readStats({ world, inFlight, peakInFlight }: Simulation, lag: EventLoopLag): SimulatorStats {
  const entries = [...world.instances.values()].map((instance) => [instance.id, toStats(instance)] as const);
  const all = entries.map(([, stats]) => stats);
  const sum = (key: keyof InstanceStats) => all.reduce((total, stats) => total + stats[key], 0);
  return {
    calls: sum("calls"),
    stateCalls: sum("stateCalls"),
    refused: sum("refused"),
    answered429: world.callsByStatus.get(429) ?? 0,
    maxCallsInAnySecond: all.reduce((max, stats) => Math.max(max, stats.maxCallsInAnySecond), 0),
    inFlight,
    peakInFlight,
    callsByStatus: Object.fromEntries(world.callsByStatus),
    eventLoopLagMs: lag.read(),
    forgottenCalls: world.log.forgotten,
    instances: Object.fromEntries(entries),
  };
}

function toStats({ limiters }: Instance): InstanceStats {
  return {
    calls: limiters.getAvatar.calls,
    refused: limiters.getAvatar.refused,
    maxCallsInAnySecond: limiters.getAvatar.maxInAnySecond,
    stateCalls: limiters.getStateInstance.calls,
  };
}
