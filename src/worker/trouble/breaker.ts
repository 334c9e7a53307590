import type { ChatId } from "../../domain/chat-id.ts";
import type { ContactDecision, DecisionOf } from "../../domain/lookup/decide.ts";
import type { Finding } from "../../domain/trouble/finding.ts";
import type { Hold } from "../../domain/trouble/hold.ts";
import type { Call } from "../run/call.ts";
import type { Clock } from "../lane/clocks.ts";
import type { Lane } from "../lane/lane.ts";
import type { RunEnd } from "../run/instance-run.ts";
import type { LaneCredentials } from "./check-instance.ts";
import { createInstanceHold, type InstanceHoldEvents, type InstanceHoldPorts } from "./instance-hold.ts";
import { createProbes, type ProbePorts } from "./probes.ts";
import { createRecentCalls } from "./recent-calls.ts";
import { createSlowDown, type SlowDownEvents, type SlowDownPorts } from "./slow-down.ts";
import { createStateWatch } from "./state-watch.ts";
import { createSuspects } from "./suspects.ts";

export interface BreakerPorts extends SlowDownPorts, InstanceHoldPorts, ProbePorts {
  readonly ledger: (SlowDownPorts & InstanceHoldPorts & ProbePorts)["ledger"];
  readonly events: SlowDownEvents & InstanceHoldEvents;
  readonly clock: Clock;
  readonly save: (lane: Lane, call: Call, decision: ContactDecision) => void;
}

/**
 * The breaker of one instance in one process: carries out what domain/trouble/blame.ts decides. Each call that brought no answer is
 * handed to it, and it sees to the call's record.
 */
export interface Breaker {
  /** A call is sent. */
  sent(call: Call): void;
  /** A clear answer came; its record is the caller's business. Resolves when a hold that it overrules has ended; undefined: none has to. */
  answered(call: Call): Promise<void> | undefined;
  /** The call failed by the contact's fault or the instance's: the record follows when that is known. */
  failed(call: Call, decision: DecisionOf<"suspect">, credentials: LaneCredentials): Promise<void>;
  /** The call failed, surely by the instance's fault. */
  refused(call: Call, hold: Hold): Promise<void>;
  /** The call was refused for the rate. */
  throttled(call: Call, decision: DecisionOf<"throttled">): Promise<void>;
  runEnded(end: RunEnd): void;
  /** Releases the contacts that wait. Those whose call fails later are released at once. */
  stop(): void;
}

export function createBreaker(ports: BreakerPorts, lane: Lane): Breaker {
  const { clock, check, events } = ports;
  const hold = createInstanceHold(ports, lane);
  const probes = createProbes(ports, lane, hold);
  const settle = (call: Call, decision: ContactDecision) => ports.save(lane, call, decision);
  const suspects = createSuspects({ clock, settle });
  const onError = (error: unknown) => events.ledgerFailed({ where: "check instance" }, error);
  const watch = createStateWatch({ clock, check, suspects, found, onError }, lane);
  const recent = createRecentCalls();
  const slowDown = createSlowDown(ports, lane, hold);
  let isStopped = false;

  async function found(finding: Finding): Promise<void> {
    const blamed = suspects.rule(finding);
    if (blamed === undefined) return;
    await hold.open(blamed.hold, blamed.askedAtMs);
    suspects.release(blamed.hold.text);
  }

  return {
    sent: ({ askedAtMs }) => recent.sent(askedAtMs),
    answered(call) {
      recent.answered(call.askedAtMs);
      suspects.answered(call);
      watch.update();
      return hold.answered(call);
    },
    async failed(call, decision, credentials) {
      if (isStopped) return settle(call, { kind: "release", error: decision.failure.error });
      if (call.instance.probing) {
        const charge = await probes.failed(call, decision, credentials);
        if (charge) settle(call, charge);
        return;
      }
      suspects.failed(call, decision);
      watch.update(credentials);
    },
    async refused(call, reason) {
      if (call.instance.probing) return probes.refused(call, reason);
      const isHeld = await hold.open(withoutChat(reason, call.contact.chatId), call.askedAtMs);
      settle(call, { kind: "release", error: reason.text });
      if (isHeld) suspects.release(reason.text);
    },
    async throttled(call, decision) {
      const isHeld = await slowDown(call, decision, recent.refused(call.askedAtMs));
      if (isHeld) suspects.release(decision.hold.text);
      if (call.instance.probing) await hold.prolong(call.askedAtMs);
      settle(call, { kind: "release", error: decision.hold.text });
    },
    runEnded(end) {
      const isNews = hold.runEnded(end);
      if (isNews || end === "paused" || end === "gone" || end === "lost") suspects.release(undefined);
    },
    stop() {
      isStopped = true;
      watch.stop();
      suspects.release(undefined);
    },
  };
}

/** A chat that was refused is none of those that may be asked, whatever the list says. */
function withoutChat(hold: Hold, refused: ChatId): Hold {
  if (hold.allowedChatIds === undefined) return hold;
  return { ...hold, allowedChatIds: hold.allowedChatIds.filter((chatId) => chatId !== refused) };
}
