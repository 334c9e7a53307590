import { heldKinds, type Hold, type ProbePolicy } from "../../domain/trouble/hold.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ProlongedHold, RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { Call } from "../run/call.ts";
import type { RunEnd } from "../run/instance-run.ts";
import type { Lane } from "../lane/lane.ts";

export interface InstanceHoldPorts {
  readonly ledger: Pick<RunLedger, "holdInstance" | "prolongHold" | "endHold">;
  readonly policy: ProbePolicy;
  readonly wakeAfter: (instanceId: InstanceId, afterMs: number) => void;
  readonly events: InstanceHoldEvents;
}

export interface InstanceHoldEvents {
  /** Once per hold, however often it is reported again. */
  instanceHeld(fields: { instanceId: InstanceId; hold: Hold; until: Date }): void;
  /** The hold goes on for longer, perhaps for another reason. */
  instanceStillHeld(fields: { instanceId: InstanceId; reason: string; until: Date }): void;
  instanceRecovered(fields: { instanceId: InstanceId }): void;
  ledgerFailed(fields: { where: string }, error: unknown): void;
}

/** The hold of one instance, in the ledger and as far as one process knows of it. Nothing here rejects. */
export interface InstanceHold {
  /** The instance is to be held. True: it is from now on, and its run ends. False: what the call told is old news. */
  open(hold: Hold, askedAtMs: number): Promise<boolean>;
  /** The same for what a probe has told: the end of its run may be news. */
  openByProbe(hold: Hold, askedAtMs: number): Promise<boolean>;
  /** A probe has told nothing new: the hold goes on for longer. Undefined: there is none, or the ledger is away. */
  prolong(askedAtMs: number): Promise<ProlongedHold | undefined>;
  /** A clear answer came: ends the hold that it overrules, where there may be one. Undefined: there is none. */
  answered(call: Call): Promise<void> | undefined;
  /** Ends the run without a hold. */
  endRun(): void;
  /** A run has ended. True: it met a hold that other processes, or a probe, have found out. */
  runEnded(end: RunEnd): boolean;
}

export function createInstanceHold(ports: InstanceHoldPorts, lane: Lane): InstanceHold {
  const { ledger, events } = ports;
  const { instanceId } = lane;
  /** The instance is held, as far as is known: an answer to a call that was sent since then overrules it. */
  let mayBeHeld = false;
  /** The run ends by this process's own doing, though the instance is not held. */
  let isEnding = false;

  function stop(waitMs: number): void {
    lane.stopRuns();
    ports.wakeAfter(instanceId, waitMs);
  }

  async function open(hold: Hold, askedAtMs: number): Promise<boolean> {
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
  }

  async function end({ contact, askedAtMs }: Call): Promise<void> {
    try {
      const ended = await ledger.endHold(instanceId, contact.chatId, askedAtMs);
      if (ended === "held") return;
      mayBeHeld = false;
      if (ended === "not-held") return;
      events.instanceRecovered({ instanceId });
      ports.wakeAfter(instanceId, 0);
    } catch (error) {
      events.ledgerFailed({ where: "end hold" }, error);
    }
  }

  return {
    async open(hold, askedAtMs) {
      const isHeld = await open(hold, askedAtMs);
      if (isHeld) mayBeHeld = true;
      return isHeld;
    },
    openByProbe: open,
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
    answered(call) {
      const { probing, heldKind } = call.instance;
      return probing || (mayBeHeld && heldKind === undefined) ? end(call) : undefined;
    },
    endRun() {
      isEnding = true;
      lane.stopRuns();
    },
    runEnded(end) {
      // A hold that leaves some chats to be asked is known already.
      const isNews = end === "held" && !mayBeHeld && !isEnding;
      isEnding = false;
      // A run that ended otherwise was let in: what comes after it is news again.
      mayBeHeld = end === "held";
      return isNews;
    },
  };
}
