import type { ChatId } from "../../domain/chat-id.ts";
import type { ContactDecision } from "../../domain/lookup/decide.ts";
import type { Finding } from "../../domain/trouble/finding.ts";
import type { Hold } from "../../domain/trouble/hold.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { ClaimFence, RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { InstanceCheck, LaneCredentials } from "./check-instance.ts";
import type { Clock } from "../run/clocks.ts";
import type { InstanceHolds } from "./instance-holds.ts";
import type { Call, RunEnd } from "../run/instance-run.ts";
import type { Lane } from "../run/lane.ts";
import type { Probes } from "./probes.ts";
import type { DecisionOf, SentCall } from "./sent-call.ts";
import { createSuspects } from "./suspects.ts";

export interface BreakerPorts {
  readonly ledger: Pick<RunLedger, "throttle">;
  readonly clock: Clock;
  readonly check: InstanceCheck;
  readonly holds: InstanceHolds;
  readonly probes: Probes;
  readonly save: (call: Call, decision: ContactDecision) => void;
  readonly wakeAfter: (instanceId: InstanceId, afterMs: number) => void;
  readonly events: BreakerEvents;
}

export interface BreakerEvents {
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
 * The breaker of one instance in one process: carries out what domain/trouble/blame.ts decides. Each call that did not bring an
 * answer is handed to it, and it sees to the call's record.
 */
export interface Breaker {
  /** A clear answer came; its record is the caller's business. Resolves when a hold that it overrules has ended. */
  answered(call: SentCall): Promise<void>;
  /** The contact's fault or the instance's: the record follows when that is known. */
  failed(call: SentCall, decision: DecisionOf<"suspect">): Promise<void>;
  /** Surely the instance's fault. */
  refused(call: Call, hold: Hold): Promise<void>;
  throttled(call: Call, decision: DecisionOf<"throttled">): Promise<void>;
  runEnded(end: RunEnd): void;
  /** Contacts whose record is still to come: their claims must be kept. */
  listWaiting(): ClaimFence[];
  /** Releases whoever waits. What comes later is released at once. */
  stop(): void;
}

export function createBreaker(ports: BreakerPorts, lane: Lane): Breaker {
  const { clock, events, holds } = ports;
  const { instanceId } = lane;
  const suspects = createSuspects({ clock, settle });
  /** Held, for all we know: an answer to a call that was sent since then overrules it. */
  let mayBeHeld = false;
  /** The run ends by our own doing, though nobody holds the instance. */
  let isEnding = false;
  let credentials: LaneCredentials | undefined;
  let isChecking = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;

  function settle(call: Call, decision: ContactDecision): void {
    ports.save(call, decision);
    if (decision.kind === "retry") ports.wakeAfter(instanceId, decision.dueInMs);
  }

  async function hold(reason: Hold, askedAtMs: number): Promise<boolean> {
    const isHeld = await holds.open(lane, reason, askedAtMs);
    if (isHeld) mayBeHeld = true;
    return isHeld;
  }

  function endRun(): void {
    isEnding = true;
    lane.stopRuns();
  }

  /** Looks at the instance's state as soon as there is a need. */
  function watch(): void {
    clearTimeout(timer);
    const dueAt = suspects.lookAt();
    if (dueAt === undefined || isChecking || isStopped) return;
    const waitMs = dueAt - clock.now();
    if (waitMs > 0) timer = setTimeout(watch, waitMs);
    else void lookAtInstance();
  }

  /** Meanwhile no call is sent: whether it may be is the question. */
  async function lookAtInstance(): Promise<void> {
    isChecking = true;
    lane.pauseCalls();
    try {
      const finding = await findOut();
      if (!isStopped) await carryOut(finding);
    } catch (error) {
      events.ledgerFailed({ where: "check instance" }, error);
      suspects.release(undefined);
    } finally {
      isChecking = false;
      lane.resumeCalls();
      watch();
    }
  }

  async function findOut() {
    if (suspects.isSeenWorking()) return { kind: "works" } as const;
    if (credentials === undefined) return { kind: "untold" } as const;
    return ports.check.confirm(credentials, () => suspects.lookAt() !== undefined);
  }

  async function carryOut(finding: Finding): Promise<void> {
    const blamed = suspects.rule(finding);
    if (blamed === undefined) return;
    await hold(blamed.hold, blamed.askedAtMs);
    suspects.release(blamed.hold.text);
  }

  async function slowDown(
    { askedAtMs, instance }: Call,
    { by, retryAfterMs, hold: byHold }: DecisionOf<"throttled">,
  ) {
    const pace = await ports.ledger.throttle(instanceId, { by, retryAfterMs }, askedAtMs);
    if (pace === undefined) return;
    const { marginMs, callsAllowed, until, mustHold } = pace;
    const isSlower = callsAllowed < instance.requestsPerSecond;
    events.instanceThrottled({ instanceId, by, marginMs, callsAllowed, isSlower, until });
    lane.slots.adapt({ requestsPerSecond: callsAllowed, marginMs });
    if (until) {
      endRun();
      ports.wakeAfter(instanceId, until.getTime() - Date.now());
    }
    if (mustHold && (await hold(byHold, askedAtMs))) suspects.release(byHold.text);
  }

  return {
    async answered(call) {
      suspects.answered(call);
      watch();
      if (!call.instance.probing && !mayBeHeld) return;
      if (await holds.end(lane, call.contact.chatId, call.askedAtMs)) mayBeHeld = false;
    },
    async failed(call, decision) {
      if (isStopped) return settle(call, { kind: "release", error: decision.failure.error });
      if (call.instance.probing) {
        const charge = await ports.probes.failed(lane, call, decision);
        return charge && settle(call, charge);
      }
      ({ credentials } = call);
      suspects.failed(call, decision);
      watch();
    },
    async refused(call, reason) {
      if (call.instance.probing) return ports.probes.refused(lane, call, reason);
      const isHeld = await hold(withoutChat(reason, call.contact.chatId), call.askedAtMs);
      settle(call, { kind: "release", error: reason.text });
      if (isHeld) suspects.release(reason.text);
    },
    async throttled(call, decision) {
      // Where the provider says how long to wait, nothing more is sent while that is being written down.
      const mustWait = decision.retryAfterMs !== undefined;
      if (mustWait) lane.pauseCalls();
      try {
        await slowDown(call, decision);
      } catch (error) {
        endRun();
        events.ledgerFailed({ where: "throttle" }, error);
      } finally {
        if (mustWait) lane.resumeCalls();
      }
      if (call.instance.probing) await holds.prolong(lane, call.askedAtMs);
      settle(call, { kind: "release", error: decision.hold.text });
    },
    runEnded(end) {
      // What others have found out while we were in doubt. A hold that leaves some chats to be asked is known already.
      const isNews = end === "held" && !mayBeHeld && !isEnding;
      isEnding = false;
      // A run that ended otherwise was let in: what comes after it is news again.
      mayBeHeld = end === "held";
      if (isNews || end === "paused" || end === "gone") suspects.release(undefined);
    },
    listWaiting: suspects.listWaiting,
    stop() {
      isStopped = true;
      clearTimeout(timer);
      suspects.release(undefined);
    },
  };
}

/** A chat that was refused is none of those that may be asked, whatever the list says. */
function withoutChat(hold: Hold, refused: ChatId): Hold {
  if (hold.allowedChatIds === undefined) return hold;
  return { ...hold, allowedChatIds: hold.allowedChatIds.filter((chatId) => chatId !== refused) };
}
