import { setMaxListeners } from "node:events";
import type { ChatId } from "../domain/chat-id.ts";
import { decide, type RetryPolicy } from "../domain/decide.ts";
import { holdForUnreadableToken, type Hold } from "../domain/hold.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { ClaimFence, RunLedger } from "../domain/ledger.ts";
import type { InstanceCredentials, Lookup } from "../domain/outcome.ts";
import { settleWithin } from "../lib/deadline.ts";
import type { Clock } from "./clocks.ts";
import { runInstance, type Call, type RunEnd, type RunSettings } from "./instance-run.ts";
import { createLane, type Lane } from "./lane.ts";
import { createSaveBuffer, type SaveEvents } from "./save-buffer.ts";

export interface WorkerPorts {
  readonly ledger: RunLedger;
  readonly isTransient: (error: unknown) => boolean;
  /** Never rejects: whatever happens is an outcome. */
  readonly getAvatar: (
    instance: InstanceCredentials,
    chatId: ChatId,
    options: { signal: AbortSignal },
  ) => Promise<Lookup>;
  /** The token in clear, or undefined where this process cannot open it. */
  readonly openToken: (sealedToken: string, instanceId: InstanceId) => string | undefined;
  /** Asks for a run of the instance in `afterMs`: a retry is due then, or a hold ends. */
  readonly wakeAfter: (instanceId: InstanceId, afterMs: number) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: RunSettings & { readonly retry: RetryPolicy; readonly claimLeaseMs: number };
  readonly events: WorkerEvents;
}

export interface WorkerEvents extends SaveEvents {
  lookedUp(fields: { instanceId: InstanceId; chatId: ChatId; lookup: Lookup }): void;
  instanceHeld(fields: { instanceId: InstanceId; hold: Hold; until: Date }): void;
  instanceRecovered(fields: { instanceId: InstanceId }): void;
  ledgerFailed(fields: { where: string }, error: unknown): void;
}

/** The instance runs of one process. */
export interface AvatarWorker {
  /** One instance run; resolves when it has handed over or found nothing to do. */
  run(instanceId: InstanceId, signal: AbortSignal): Promise<RunEnd>;
  callsInFlight(): number;
  /**
   * Waits for calls in flight as long as `graceMs`, then abandons them: their contacts are due again, with no
   * attempt spent. Saves what there is to save. Runs must have been stopped before. Twice is harmless.
   */
  stop(graceMs: number): Promise<void>;
}

/** Claims younger than this share of their lease need no extension. */
const extendEvery = 3;
/** For what has to be written after the grace period is over. */
const lastSaveMs = 5_000;

export function createWorker(ports: WorkerPorts): AvatarWorker {
  const { ledger, clock, settings, events } = ports;
  const lanes = new Map<InstanceId, Lane>();
  const abandoning = new AbortController();
  // Every call in flight listens: that is no leak.
  setMaxListeners(0, abandoning.signal);
  /** Calls in flight, with the moment of their claim. */
  const inFlight = new Map<Promise<void>, ClaimFence & { readonly since: number }>();
  const saves = createSaveBuffer({ ledger, isTransient: ports.isTransient, events });

  const laneOf = (instanceId: InstanceId): Lane => {
    let lane = lanes.get(instanceId);
    if (lane === undefined) lanes.set(instanceId, (lane = createLane(instanceId, clock)));
    return lane;
  };

  async function lookUp(lane: Lane, call: Call, token: string): Promise<void> {
    const { runId, contact, instance, askedAtMs } = call;
    const { instanceId } = lane;
    const credentials = { instanceId, apiUrl: instance.apiUrl, token };
    const lookup = await ports.getAvatar(credentials, contact.chatId, { signal: abandoning.signal });
    const fence = { contactId: contact.contactId, runId, askedAtMs };
    if (abandoning.signal.aborted && lookup.outcome.kind === "network-error") {
      saves.add({ ...fence, decision: { kind: "release", error: undefined } });
      return;
    }
    events.lookedUp({ instanceId, chatId: contact.chatId, lookup });
    const decision = decide(lookup.outcome, contact.attempts, settings.retry, new Date(), ports.random());
    saves.add({ ...fence, decision: decision.contact });
    if (decision.hold) await holdInstance(lane, decision.hold, askedAtMs);
    else if (instance.probing && decision.contact.kind === "answer") await endHold(instanceId);
    if (decision.contact.kind === "retry") ports.wakeAfter(instanceId, decision.contact.dueInMs);
  }

  async function holdInstance(lane: Lane, hold: Hold, askedAtMs: number): Promise<void> {
    const { instanceId } = lane;
    try {
      const until = await ledger.holdInstance(instanceId, hold, askedAtMs);
      if (until === undefined) return;
      lane.holds += 1;
      events.instanceHeld({ instanceId, hold, until });
      ports.wakeAfter(instanceId, until.getTime() - Date.now());
    } catch (error) {
      // Not written down, so that no other process knows; but ours can stop.
      lane.holds += 1;
      events.ledgerFailed({ where: "hold instance" }, error);
    }
  }

  async function endHold(instanceId: InstanceId): Promise<void> {
    try {
      await ledger.endHold(instanceId);
      events.instanceRecovered({ instanceId });
    } catch (error) {
      events.ledgerFailed({ where: "end hold" }, error);
    }
  }

  function startCall(lane: Lane, call: Call): void {
    const token = ports.openToken(call.instance.sealedToken, lane.instanceId);
    const fence = { contactId: call.contact.contactId, runId: call.runId };
    lane.inFlight += 1;
    const asked = token === undefined ? refuseUnreadableToken(lane, call) : lookUp(lane, call, token);
    const ended = asked
      .catch((error: unknown) => failCall(call, error))
      .finally(() => {
        inFlight.delete(ended);
        lane.callEnded();
      });
    inFlight.set(ended, { ...fence, since: clock.now() });
  }

  /** A fault of ours, and perhaps of this one contact: it must not take the process with it, again and again. */
  function failCall({ contact, runId, askedAtMs }: Call, error: unknown): void {
    events.ledgerFailed({ where: "look up" }, error);
    const outcome = { kind: "unclear", scope: "call", status: 0, excerpt: "an unexpected error" } as const;
    const decision = decide(outcome, contact.attempts, settings.retry, new Date(), ports.random());
    saves.add({ contactId: contact.contactId, runId, askedAtMs, decision: decision.contact });
  }

  async function refuseUnreadableToken(lane: Lane, { runId, contact, askedAtMs }: Call): Promise<void> {
    const hold = holdForUnreadableToken();
    const decision = { kind: "release", error: hold.text } as const;
    saves.add({ contactId: contact.contactId, runId, askedAtMs, decision });
    await holdInstance(lane, hold, askedAtMs);
  }

  /** A call may take longer than its claim's lease; the lease stays short so that a dead process costs little. */
  const extendEveryMs = settings.claimLeaseMs / extendEvery;
  const extending = setInterval(() => {
    const oldEnough = clock.now() - extendEveryMs / 2;
    const claims = [...inFlight.values()].filter((claim) => claim.since < oldEnough);
    ledger
      .extendClaims(claims)
      .catch((error: unknown) => events.ledgerFailed({ where: "extend claims" }, error));
  }, extendEveryMs);

  let stopped: Promise<void> | undefined;
  async function stopNow(graceMs: number): Promise<void> {
    await settleWithin(Promise.allSettled(inFlight.keys()), graceMs);
    abandoning.abort();
    await settleWithin(Promise.allSettled(inFlight.keys()), lastSaveMs);
    await saves.drain(AbortSignal.timeout(lastSaveMs));
    clearInterval(extending);
  }

  return {
    run: (instanceId, signal) =>
      runInstance({ ledger, clock, settings, call: startCall }, laneOf(instanceId), signal),
    callsInFlight: () => inFlight.size,
    stop: (graceMs) => (stopped ??= stopNow(graceMs)),
  };
}
