import type { ChatId } from "../../domain/chat-id.ts";
import { heldKinds, type Hold, type ProbePolicy } from "../../domain/trouble/hold.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ProlongedHold, RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { Lane } from "../lane/lane.ts";

export interface InstanceHoldsPorts {
  readonly ledger: Pick<RunLedger, "holdInstance" | "prolongHold" | "endHold">;
  readonly policy: ProbePolicy;
  readonly wakeAfter: (instanceId: InstanceId, afterMs: number) => void;
  readonly events: InstanceHoldsEvents;
}

export interface InstanceHoldsEvents {
  /** Once per hold, however often it is reported again. */
  instanceHeld(fields: { instanceId: InstanceId; hold: Hold; until: Date }): void;
  /** The hold goes on for longer, perhaps for another reason. */
  instanceStillHeld(fields: { instanceId: InstanceId; reason: string; until: Date }): void;
  instanceRecovered(fields: { instanceId: InstanceId }): void;
  ledgerFailed(fields: { where: string }, error: unknown): void;
}

/** Opens, prolongs and ends the holds of one instance. Nothing here rejects. */
export interface InstanceHolds {
  /** The instance is to be held. True: it is from now on, and its run ends. False: what the call told is old news. */
  open(hold: Hold, askedAtMs: number): Promise<boolean>;
  /** A probe has told nothing new: the hold goes on for longer. Undefined: there is none, or the ledger is away. */
  prolong(askedAtMs: number): Promise<ProlongedHold | undefined>;
  /** A clear answer came. True: the instance is held no longer, or was not. */
  end(chatId: ChatId, askedAtMs: number): Promise<boolean>;
}

export function createInstanceHolds(ports: InstanceHoldsPorts, lane: Lane): InstanceHolds {
  const { ledger, events } = ports;
  const { instanceId } = lane;

  function stop(waitMs: number): void {
    lane.stopRuns();
    ports.wakeAfter(instanceId, waitMs);
  }

  return {
    async open(hold, askedAtMs) {
      try {
        const held = await ledger.holdInstance(instanceId, hold, askedAtMs);
        if (held === undefined) return false;
        const { until, isNew } = held;
        // Some chats may be asked all the same.
        const leavesSome = hold.allowedChatIds?.length || heldKinds[hold.reason] !== undefined;
        stop(leavesSome ? 0 : until.getTime() - Date.now());
        if (isNew) events.instanceHeld({ instanceId, hold, until });
        else events.instanceStillHeld({ instanceId, reason: hold.reason, until });
      } catch (error) {
        // The hold is not written down, so that no other process knows of it; but this one can stop.
        lane.stopRuns();
        events.ledgerFailed({ where: "hold instance" }, error);
      }
      return true;
    },
    async prolong(askedAtMs) {
      try {
        const held = await ledger.prolongHold(instanceId, ports.policy, askedAtMs);
        if (held === undefined) return undefined;
        stop(heldKinds[held.reason] === undefined ? held.until.getTime() - Date.now() : 0);
        events.instanceStillHeld({ instanceId, reason: held.reason, until: held.until });
        return held;
      } catch (error) {
        lane.stopRuns();
        events.ledgerFailed({ where: "prolong hold" }, error);
        return undefined;
      }
    },
    async end(chatId, askedAtMs) {
      try {
        const ended = await ledger.endHold(instanceId, chatId, askedAtMs);
        if (ended === "ended") {
          events.instanceRecovered({ instanceId });
          ports.wakeAfter(instanceId, 0);
        }
        return ended !== "held";
      } catch (error) {
        events.ledgerFailed({ where: "end hold" }, error);
        return false;
      }
    },
  };
}
