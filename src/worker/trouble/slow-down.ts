import type { InstanceId } from "../../domain/instance-id.ts";
import type { Refusal, RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { DecisionOf } from "../../domain/lookup/decide.ts";
import type { CallsBefore } from "../../domain/pace/after-refusal.ts";
import type { Call } from "../run/call.ts";
import type { Lane } from "../lane/lane.ts";
import type { InstanceHold } from "./instance-hold.ts";

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

/**
 * A call was refused for the rate: lets the instance be called more slowly by all processes. A wait that the provider asks for
 * ends the run; so does a pace that cannot be written down. Never rejects.
 * @returns true: the instance is held, because it refuses the slowest pace, too
 */
export type SlowDown = (
  call: Call,
  decision: DecisionOf<"throttled">,
  before: CallsBefore,
) => Promise<boolean>;

export function createSlowDown(ports: SlowDownPorts, lane: Lane, hold: InstanceHold): SlowDown {
  const { ledger, wakeAfter, events } = ports;
  const { instanceId } = lane;

  /** Writes the refusal down, and goes on at the pace that follows from it. True: only a hold is left. */
  async function adapt({ askedAtMs, instance }: Call, refusal: Refusal): Promise<boolean> {
    const pace = await ledger.throttle(instanceId, refusal, askedAtMs);
    if (pace === undefined) return false;
    const { marginMs, callsAllowed, until, mustHold } = pace;
    const isSlower = callsAllowed < instance.requestsPerSecond;
    events.instanceThrottled({ instanceId, by: refusal.by, marginMs, callsAllowed, isSlower, until });
    lane.slots.adapt({ requestsPerSecond: callsAllowed, marginMs });
    if (until) {
      hold.endRun();
      wakeAfter(instanceId, until.getTime() - Date.now());
    }
    return mustHold;
  }

  return async (call, decision, before) => {
    const { by, retryAfterMs } = decision;
    // Where the provider says how long to wait, nothing more is sent while that is being written down.
    const mustWait = retryAfterMs !== undefined;
    if (mustWait) lane.pauseCalls();
    try {
      if (!(await adapt(call, { by, before, retryAfterMs }))) return false;
      return await hold.open(decision.hold, call.askedAtMs);
    } catch (error) {
      hold.endRun();
      events.ledgerFailed({ where: "throttle" }, error);
      return false;
    } finally {
      if (mustWait) lane.resumeCalls();
    }
  };
}
