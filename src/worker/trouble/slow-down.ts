import type { InstanceId } from "../../domain/instance-id.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { DecisionOf } from "../../domain/lookup/decide.ts";
import type { CallsBefore } from "../../domain/pace/after-refusal.ts";
import type { Call } from "../run/call.ts";
import type { Lane } from "../lane/lane.ts";
import type { KnownHold } from "./known-hold.ts";

export interface SlowDownPorts {
  readonly ledger: Pick<RunLedger, "throttle">;
  readonly wakeAfter: (instanceId: InstanceId, afterMs: number) => void;
  readonly events: SlowDownEvents;
}

export interface SlowDownEvents {
  instanceThrottled(fields: {
    instanceId: InstanceId;
    by: "provider" | "whatsapp";
    marginMs: number;
    callsAllowed: number;
    /** The pace was lowered, and not only the margin widened. */
    isSlower: boolean;
    until: Date | undefined;
  }): void;
  ledgerFailed(fields: { where: string }, error: unknown): void;
}

/** A call that was refused for the rate, and what became of those before it. */
export interface RefusedCall {
  readonly call: Call;
  readonly decision: DecisionOf<"throttled">;
  readonly before: CallsBefore;
}

/**
 * A call was refused for the rate: lets the instance be called more slowly by all processes. A wait that the provider asks for
 * ends the run; so does a pace that cannot be written down. Never rejects.
 * @returns true: the instance is held, because it refuses the slowest pace, too
 */
export async function slowDown(
  ports: SlowDownPorts,
  { lane, hold }: { readonly lane: Lane; readonly hold: KnownHold },
  refused: RefusedCall,
): Promise<boolean> {
  const { call, decision } = refused;
  // Where the provider says how long to wait, nothing more is sent while that is being written down.
  const mustWait = decision.retryAfterMs !== undefined;
  if (mustWait) lane.pauseCalls();
  try {
    if (!(await adapt(ports, { lane, hold }, refused))) return false;
    return await hold.open(decision.hold, call.askedAtMs);
  } catch (error) {
    hold.endRun();
    ports.events.ledgerFailed({ where: "throttle" }, error);
    return false;
  } finally {
    if (mustWait) lane.resumeCalls();
  }
}

/** Writes the refusal down, and goes on at the pace that follows from it. True: only a hold is left. */
async function adapt(
  { ledger, wakeAfter, events }: SlowDownPorts,
  { lane, hold }: { readonly lane: Lane; readonly hold: KnownHold },
  { call: { askedAtMs, instance }, decision: { by, retryAfterMs }, before }: RefusedCall,
): Promise<boolean> {
  const { instanceId } = lane;
  const pace = await ledger.throttle(instanceId, { by, before, retryAfterMs }, askedAtMs);
  if (pace === undefined) return false;
  const { marginMs, callsAllowed, until, mustHold } = pace;
  const isSlower = callsAllowed < instance.requestsPerSecond;
  events.instanceThrottled({ instanceId, by, marginMs, callsAllowed, isSlower, until });
  lane.slots.adapt({ requestsPerSecond: callsAllowed, marginMs });
  if (until) {
    hold.endRun();
    wakeAfter(instanceId, until.getTime() - Date.now());
  }
  return mustHold;
}
