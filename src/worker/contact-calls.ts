/*
 * The way of one call, from its slot to what follows. A run does not wait for its calls: it sends the next one. Only a probe is
 * waited for.
 *
 *   run            contact calls        provider       breaker                     lane                  ledger
 *    │                  │                   │             │                          │                      │
 *    ├─ call ──────────►├─ getAvatar ──────►│             │                          │                      │
 *    │                  ├─ calls.start() ───│─────────────│─────────────────────────►│ one more in flight   │
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
 *    │                  ├─ its end ─────────│─────────────│─────────────────────────►│ wakes the run        │
 */
import { decide, type ContactDecision, type RetryPolicy } from "../domain/lookup/decide.ts";
import { toHold, type ProbePolicy } from "../domain/trouble/hold.ts";
import type { ChatId } from "../domain/chat-id.ts";
import type { InstanceId } from "../domain/instance-id.ts";
import type { InstanceCredentials, Lookup, Outcome } from "../domain/outcome.ts";
import { assertNever } from "../lib/errors.ts";
import type { CallsInFlight } from "./calls-in-flight.ts";
import type { Call } from "./run/call.ts";
import type { Clock } from "./lane/clocks.ts";
import type { Lane } from "./lane/lane.ts";
import type { Breaker } from "./trouble/breaker.ts";
import type { SentCall } from "./trouble/sent-call.ts";

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
  readonly clock: Clock;
  readonly random: () => number;
  readonly events: ContactCallEvents;
  readonly inFlight: Pick<CallsInFlight, "begin" | "end">;
  /** Hangs up: contacts that have no answer yet are due again. */
  readonly signal: AbortSignal;
}

export interface ContactCallEvents {
  lookedUp(fields: { instanceId: InstanceId; chatId: ChatId; lookup: Lookup }): void;
  ledgerFailed(fields: { where: string }, error: unknown): void;
}

/** Sends the call of a contact. Resolves when all that follows from its answer is done; never rejects. */
export type CallContact = (instance: GuardedLane, call: Call) => Promise<void>;

export function createContactCalls(ports: ContactCallsPorts): CallContact {
  const { save, policy, clock, random, events, signal, inFlight } = ports;
  const noteError = (error: unknown) => events.ledgerFailed({ where: "look up" }, error);

  async function lookUp(guarded: GuardedLane, call: SentCall): Promise<void> {
    const { contact, credentials } = call;
    try {
      const lookup = await ports.getAvatar(credentials, contact.chatId, {
        signal,
        mayLeave: () => mayLeave(guarded.breaker, call),
      });
      const { outcome } = lookup;
      if (signal.aborted && outcome.kind === "network-error") {
        save(guarded.lane, call, { kind: "release", error: undefined });
        return;
      }
      // What has not left is no call, for those who count them.
      if (outcome.kind !== "not-sent")
        events.lookedUp({ instanceId: credentials.instanceId, chatId: contact.chatId, lookup });
      await carryOut(guarded, call, outcome);
    } catch (error) {
      await failCall(guarded, call, error);
    }
  }

  function carryOut(
    { lane, breaker }: GuardedLane,
    call: SentCall,
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
        return breaker.failed(call, decision);
      case "instance":
        return breaker.refused(call, decision.hold);
      case "throttled":
        return breaker.throttled(call, decision);
      default:
        return assertNever(decision);
    }
  }

  /** The fault is our own, and perhaps of this one contact: it must not take the process with it, again and again. */
  function failCall(guarded: GuardedLane, call: SentCall, error: unknown): Promise<void> | undefined {
    noteError(error);
    const excerpt = "an unexpected error";
    return carryOut(guarded, call, { kind: "unclear", scope: "call", status: 0, excerpt });
  }

  function ask(guarded: GuardedLane, call: Call): Promise<void> {
    const { instanceId } = guarded.lane;
    const { apiUrl, sealedToken } = call.instance;
    const token = ports.openToken(sealedToken, { id: instanceId, apiUrl });
    if (token === undefined) return guarded.breaker.refused(call, toHold("token-unreadable", policy));
    return lookUp(guarded, { ...call, sentAt: clock.now(), credentials: { instanceId, apiUrl, token } });
  }

  return async (guarded, call) => {
    const end = guarded.lane.calls.start();
    inFlight.begin();
    try {
      await ask(guarded, call);
    } catch (error) {
      noteError(error);
    } finally {
      call.ended();
      inFlight.end();
      end();
    }
  };
}

function mayLeave(breaker: Breaker, call: SentCall): boolean {
  if (!call.mayLeave()) return false;
  breaker.sent(call);
  return true;
}
