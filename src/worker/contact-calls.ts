/*
 * The way of one call, from its slot to what follows. A run does not wait for its calls: it sends the next one. Only a probe is
 * waited for.
 *
 *   run            contact calls        provider       breaker                     lane                  ledger
 *    │                  │                   │             │                          │                      │
 *    ├─ call ──────────►├─ getAvatar ──────►│             │                          │                      │
 *    │                  ├─ calls.begin() ───│─────────────│─────────────────────────►│ one more in flight   │
 *    │ next contact     ├─ sent ────────────│────────────►│ notes when               │                      │
 *    │                  │◄───────── outcome ┤             │                          │                      │
 *    │                  │ decide()          │             │                          │                      │
 *    │   answer         ├─ save ────────────│─────────────│──────────────────────────│─ save buffer ───────►│
 *    │                  ├─ answered ────────│────────────►│ charges the guilty       │      end of a hold ─►│
 *    │   suspect        ├─ failed ──────────│────────────►│ waits for an answer, or  │                      │
 *    │                  │                   │◄─ getState ─┤ looks at the state ─────►│ pauseCalls()         │
 *    │                  │                   │             │ rules: charges … ────────│─ save buffer ───────►│
 *    │◄ ends as held ───│───────────────────│─────────────│ … or holds ─────────────►│ stopRuns()    hold ─►│
 *    │   not sent       ├─ save ────────────│─────────────│──────────────────────────│─ save buffer ───────►│
 *    │   instance       ├─ refused ─────────│────────────►│ holds, as above          │                      │
 *    │   throttled      ├─ throttled ───────│────────────►│ slows down ─────────────►│ slots.adapt() pace ─►│
 *    │                  │                   │             │                          │                      │
 *    │                  ├─ calls.end() ─────│─────────────│─────────────────────────►│ wakes the run        │
 */
import { decide, type ContactDecision, type RetryPolicy } from "../domain/lookup/decide.ts";
import { toHold, type ProbePolicy } from "../domain/trouble/hold.ts";
import type { ChatId } from "../domain/chat-id.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { LeasedInstance } from "../domain/ledger/lease.ts";
import type { InstanceCredentials, Lookup, Outcome } from "../domain/outcome.ts";
import { assertNever } from "../lib/errors.ts";
import type { Call } from "./run/call.ts";
import type { Lane } from "./lane/lane.ts";
import type { Breaker } from "./trouble/breaker.ts";
import type { LaneCredentials } from "./trouble/check-instance.ts";

/** An instance that this process works on: its lane, and the breaker that guards it. */
export interface GuardedLane {
  readonly lane: Lane;
  readonly breaker: Breaker;
}

export interface ContactCallsPorts {
  /** Never rejects: whatever happens is an outcome. */
  readonly getAvatar: (
    instance: InstanceCredentials,
    chatId: ChatId,
    options: { signal: AbortSignal; mayLeave: () => boolean },
  ) => Promise<Lookup>;
  /** The token in clear, or undefined where this process cannot open it. */
  readonly openToken: (
    sealedToken: string,
    context: { readonly id: InstanceId; readonly apiUrl: string },
  ) => string | undefined;
  /** Writes down what becomes of the contact. */
  readonly save: (lane: Lane, call: Call, decision: ContactDecision) => void;
  readonly policy: RetryPolicy & ProbePolicy;
  readonly random: () => number;
  readonly events: ContactCallEvents;
  /** Hangs up: contacts that have no answer yet are due again. */
  readonly signal: AbortSignal;
}

export interface ContactCallEvents {
  lookedUp(fields: { instanceId: InstanceId; chatId: ChatId; lookup: Lookup }): void;
  ledgerFailed(fields: { where: string }, error: unknown): void;
}

/** Sends the call of a contact. Resolves when all that follows from its answer is done; never rejects. */
export type CallContact = (instance: GuardedLane, call: Call) => Promise<void>;

/** The fault is our own, and perhaps of one contact: it must not take the process with it, again and again. */
const ourFault: Outcome = { kind: "unclear", scope: "call", status: 0, excerpt: "an unexpected error" };

export function createContactCalls(ports: ContactCallsPorts): CallContact {
  const { save, policy, random, events, signal } = ports;
  const noteError = (error: unknown) => events.ledgerFailed({ where: "look up" }, error);
  const findCredentials = createCredentials(ports.openToken);

  /** Sees to what follows from the answer. Undefined: all is done. */
  function follow(
    guarded: GuardedLane,
    call: Call,
    credentials: LaneCredentials,
    lookup: Lookup,
  ): Promise<void> | undefined {
    const { outcome } = lookup;
    const { lane } = guarded;
    if (signal.aborted && outcome.kind === "network-error") {
      save(lane, call, { kind: "release", error: undefined });
      return undefined;
    }
    // What has not left is no call, for those who count them.
    if (outcome.kind !== "not-sent") {
      lane.calls.count(lookup);
      events.lookedUp({ instanceId: lane.instanceId, chatId: call.contact.chatId, lookup });
    }
    return carryOut(guarded, call, credentials, outcome);
  }

  function carryOut(
    { lane, breaker }: GuardedLane,
    call: Call,
    credentials: LaneCredentials,
    outcome: Outcome,
  ): Promise<void> | undefined {
    const decision = decide(outcome, call.contact.attempts, policy, new Date(), random());
    switch (decision.kind) {
      case "answer":
        save(lane, call, decision.contact);
        return breaker.answered(call);
      case "release":
        save(lane, call, decision.contact);
        return undefined;
      case "suspect":
        return breaker.failed(call, decision, credentials);
      case "instance":
        return breaker.refused(call, decision.hold);
      case "throttled":
        return breaker.throttled(call, decision);
      default:
        return assertNever(decision);
    }
  }

  return async (guarded, call) => {
    const { lane, breaker } = guarded;
    lane.calls.begin(call.sentAt);
    try {
      const credentials = findCredentials(lane.instanceId, call.instance);
      if (credentials === undefined) return await breaker.refused(call, toHold("token-unreadable", policy));
      try {
        const lookup = await ports.getAvatar(credentials, call.contact.chatId, {
          signal,
          mayLeave: () => mayLeave(breaker, call),
        });
        // Nearly all calls end here: a wait for nothing would be one more turn.
        const rest = follow(guarded, call, credentials, lookup);
        if (rest) await rest;
      } catch (error) {
        noteError(error);
        await carryOut(guarded, call, credentials, ourFault);
      }
    } catch (error) {
      noteError(error);
    } finally {
      call.slot.end();
      lane.calls.end();
    }
  };
}

interface KnownCredentials {
  readonly sealedToken: string;
  readonly apiUrl: string;
  /** Undefined: this process cannot open the token. */
  readonly credentials: LaneCredentials | undefined;
}

/** Opening a sealed token costs 10 µs, and every call needs one: the last one of each instance is kept. */
function createCredentials(openToken: ContactCallsPorts["openToken"]) {
  const opened = new Map<InstanceId, KnownCredentials>();
  return (instanceId: InstanceId, { sealedToken, apiUrl }: LeasedInstance): LaneCredentials | undefined => {
    const known = opened.get(instanceId);
    if (known?.sealedToken === sealedToken && known.apiUrl === apiUrl) return known.credentials;
    const token = openToken(sealedToken, { id: instanceId, apiUrl });
    const credentials = token === undefined ? undefined : { instanceId, apiUrl, token };
    opened.set(instanceId, { sealedToken, apiUrl, credentials });
    return credentials;
  };
}

function mayLeave(breaker: Breaker, call: Call): boolean {
  if (!call.slot.mayLeave()) return false;
  breaker.sent(call);
  return true;
}
