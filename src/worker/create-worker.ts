import { setMaxListeners } from "node:events";
import type { ChatId } from "../domain/chat-id.ts";
import { decide, type ContactDecision, type RetryPolicy } from "../domain/lookup/decide.ts";
import { toHold, type ProbePolicy } from "../domain/trouble/hold.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import { planRefresh, type RefreshPolicy } from "../domain/refresh/refresh-policy.ts";
import type { ClaimFence, RunLedger } from "../domain/ledger/run-ledger.ts";
import type { InstanceCredentials, Lookup, Outcome } from "../domain/outcome.ts";
import { settleWithin } from "../lib/deadline.ts";
import { assertNever } from "../lib/errors.ts";
import { createBreaker, type Breaker, type BreakerEvents } from "./trouble/breaker.ts";
import {
  createInstanceCheck,
  type InstanceCheckEvents,
  type InstanceCheckPorts,
} from "./trouble/check-instance.ts";
import type { Clock } from "./run/clocks.ts";
import { createInstanceHolds, type InstanceHoldsEvents } from "./trouble/instance-holds.ts";
import { runInstance, type Call, type RunEnd, type RunSettings } from "./run/instance-run.ts";
import { createLane, type Lane } from "./run/lane.ts";
import type { SentCall } from "./trouble/sent-call.ts";
import { createProbes } from "./trouble/probes.ts";
import { createSaveBuffer, type SaveEvents } from "./run/save-buffer.ts";

export interface WorkerPorts {
  readonly ledger: RunLedger;
  readonly isTransient: (error: unknown) => boolean;
  /** Never rejects: whatever happens is an outcome. */
  readonly getAvatar: (
    instance: InstanceCredentials,
    chatId: ChatId,
    options: { signal: AbortSignal; onSent: () => void },
  ) => Promise<Lookup>;
  readonly getState: InstanceCheckPorts["getState"];
  /** The token in clear, or undefined where this process cannot open it. */
  readonly openToken: (
    sealedToken: string,
    context: { readonly id: InstanceId; readonly apiUrl: string },
  ) => string | undefined;
  /** Asks for a run of the instance in `afterMs`: a retry is due then, or a hold ends. */
  readonly wakeAfter: (instanceId: InstanceId, afterMs: number) => void;
  /** Does any instance wait for its run? */
  readonly othersWait: () => Promise<boolean>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: RunSettings & {
    readonly retry: RetryPolicy;
    readonly probe: ProbePolicy;
    readonly refresh: RefreshPolicy;
    readonly claimLeaseMs: number;
  };
  readonly events: WorkerEvents;
}

export interface WorkerEvents extends SaveEvents, BreakerEvents, InstanceCheckEvents, InstanceHoldsEvents {
  lookedUp(fields: { instanceId: InstanceId; chatId: ChatId; lookup: Lookup }): void;
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
  const { ledger, clock, settings, events, wakeAfter } = ports;
  const abandoning = new AbortController();
  const { signal } = abandoning;
  // Every call in flight listens: that is no leak.
  setMaxListeners(0, signal);
  const policy = { ...settings.retry, ...settings.probe };
  const saves = createSaveBuffer({ ledger, isTransient: ports.isTransient, events });
  const holds = createInstanceHolds({ ledger, policy, wakeAfter, events });
  const check = createInstanceCheck({ ledger, getState: ports.getState, policy, clock, events, signal });
  const probes = createProbes({ ledger, check, holds, events });
  const lanes = new Map<InstanceId, { readonly lane: Lane; readonly breaker: Breaker }>();
  /** Calls in flight, with the moment of their claim. */
  const inFlight = new Map<Promise<void>, ClaimFence & { readonly since: number }>();

  function getLane(instanceId: InstanceId) {
    const known = lanes.get(instanceId);
    if (known) return known;
    const lane = createLane(instanceId, clock);
    const breakerPorts = { ledger, clock, check, holds, probes, save, wakeAfter, events };
    const created = { lane, breaker: createBreaker(breakerPorts, lane) };
    lanes.set(instanceId, created);
    return created;
  }

  function save({ contact, runId, askedAtMs }: Call, decision: ContactDecision): void {
    const refresh = planRefresh(contact, decision, new Date(askedAtMs), settings.refresh);
    saves.add({ contactId: contact.contactId, runId, askedAtMs, decision, refresh });
  }

  async function lookUp(breaker: Breaker, call: SentCall): Promise<void> {
    const { contact, credentials } = call;
    const lookup = await ports.getAvatar(credentials, contact.chatId, { signal, onSent: call.onSent });
    if (signal.aborted && lookup.outcome.kind === "network-error") {
      return save(call, { kind: "release", error: undefined });
    }
    events.lookedUp({ instanceId: credentials.instanceId, chatId: contact.chatId, lookup });
    await carryOut(breaker, call, lookup.outcome);
  }

  async function carryOut(breaker: Breaker, call: SentCall, outcome: Outcome): Promise<void> {
    const decision = decide(outcome, call.contact.attempts, policy, new Date(), ports.random());
    switch (decision.kind) {
      case "answer":
        save(call, decision.contact);
        return breaker.answered(call);
      case "suspect":
        return breaker.failed(call, decision);
      case "instance":
        return breaker.refused(call, decision.hold);
      case "throttled":
        return breaker.throttled(call, decision);
      default:
        return assertNever(decision);
    }
  }

  function startCall({ instanceId }: Lane, call: Call): Promise<void> {
    const { lane, breaker } = getLane(instanceId);
    const { apiUrl, sealedToken } = call.instance;
    const token = ports.openToken(sealedToken, { id: instanceId, apiUrl });
    const sent = { ...call, sentAt: clock.now(), credentials: { instanceId, apiUrl, token: token ?? "" } };
    const asked =
      token === undefined
        ? breaker.refused(call, toHold("token-unreadable", policy))
        : lookUp(breaker, sent).catch((error: unknown) => failCall(breaker, sent, error));
    const end = lane.calls.start();
    const ended = asked
      .catch((error: unknown) => events.ledgerFailed({ where: "look up" }, error))
      .finally(() => {
        inFlight.delete(ended);
        end();
      });
    const fence = { contactId: call.contact.contactId, runId: call.runId };
    inFlight.set(ended, { ...fence, since: clock.now() });
    return ended;
  }

  /** A fault of ours, and perhaps of this one contact: it must not take the process with it, again and again. */
  function failCall(breaker: Breaker, call: SentCall, error: unknown): Promise<void> {
    events.ledgerFailed({ where: "look up" }, error);
    return carryOut(breaker, call, {
      kind: "unclear",
      scope: "call",
      status: 0,
      excerpt: "an unexpected error",
    });
  }

  /** A call may take longer than its claim's lease; the lease stays short so that a dead process costs little. */
  const extendEveryMs = settings.claimLeaseMs / extendEvery;
  const extending = setInterval(() => {
    const oldEnough = clock.now() - extendEveryMs / 2;
    const old = [...inFlight.values()].filter((claim) => claim.since < oldEnough);
    const waiting = [...lanes.values()].flatMap(({ lane, breaker }) => [
      ...lane.unsent,
      ...breaker.listWaiting(),
    ]);
    const claims = [...old, ...waiting, ...saves.listUnsaved()];
    ledger
      .extendClaims(claims)
      .catch((error: unknown) => events.ledgerFailed({ where: "extend claims" }, error));
  }, extendEveryMs);

  let stopped: Promise<void> | undefined;
  async function stopNow(graceMs: number): Promise<void> {
    await settleWithin(Promise.allSettled(inFlight.keys()), graceMs);
    // First: what is abandoned says nothing of the instance.
    for (const { breaker } of lanes.values()) breaker.stop();
    abandoning.abort();
    await settleWithin(Promise.allSettled(inFlight.keys()), lastSaveMs);
    await saves.drain(AbortSignal.timeout(lastSaveMs));
    clearInterval(extending);
  }

  return {
    async run(instanceId, stopping) {
      const { lane, breaker } = getLane(instanceId);
      const { othersWait, random } = ports;
      const runPorts = { ledger, clock, settings, othersWait, random, call: startCall };
      const end = await runInstance(runPorts, lane, stopping);
      breaker.runEnded(end);
      return end;
    },
    callsInFlight: () => inFlight.size,
    stop: (graceMs) => (stopped ??= stopNow(graceMs)),
  };
}
