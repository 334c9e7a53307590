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
  /** The figure of the instance with the highest. */
  readonly maxCallsInAnySecond: number;
  readonly inFlight: number;
  readonly peakInFlight: number;
  /** By HTTP status; 499 where the client hung up, 0 where the simulator sent none. */
  readonly callsByStatus: Readonly<Record<string, number>>;
  readonly eventLoopLagMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Calls that no longer fit into the log. */
  readonly forgottenCalls: number;
  readonly instances: Readonly<Record<string, InstanceStats>>;
  /** Requests of pictures, which none of the numbers above has in it. */
  readonly pictures: PictureStats;
}

interface PictureStats {
  readonly requests: number;
  readonly inFlight: number;
  readonly peakInFlight: number;
  /** Bytes of bodies that were given to connections. */
  readonly bytes: number;
  /** By HTTP status; 499 where the client hung up first, 0 where the simulator sent none. */
  readonly byStatus: Readonly<Record<string, number>>;
  readonly byOutcome: Readonly<Record<string, number>>;
  /** Requests that no longer fit into their log. */
  readonly forgotten: number;
}

export function readStats(simulation: Simulation, lag: EventLoopLag): SimulatorStats {
  const { world, inFlight, peakInFlight } = simulation;
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
    pictures: toPictureStats(simulation),
  };
}

function toPictureStats({ world, pictures }: Simulation): PictureStats {
  const { totals, log } = world.pictures;
  return {
    requests: totals.requests,
    inFlight: pictures.inFlight,
    peakInFlight: pictures.peakInFlight,
    bytes: totals.bytes,
    byStatus: Object.fromEntries(totals.byStatus),
    byOutcome: Object.fromEntries(totals.byOutcome),
    forgotten: log.forgotten,
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
