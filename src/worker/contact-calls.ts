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
 *    │                  ├─ calls.end() ─────│─────────────│─────────────────────────►│ wakes a run that     │
 *    │                  │                   │             │                          │ waits for calls      │
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
export type CallContact = (call: Call) => Promise<void>;

/** The fault is our own, and perhaps of one contact: it must not take the process with it, again and again. */
const ourFault: Outcome = { kind: "unclear", scope: "call", status: 0, excerpt: "an unexpected error" };

/** Calls the contacts of one instance, which the breaker guards. */
export function createContactCalls(ports: ContactCallsPorts, lane: Lane, breaker: Breaker): CallContact {
  const { save, policy, random, events, signal } = ports;
  const noteError = (error: unknown) => events.ledgerFailed({ where: "look up" }, error);
  const findCredentials = createCredentials(ports.openToken, lane.instanceId);

  /** Sees to what follows from the answer. Undefined: all is done. */
  function follow(call: Call, credentials: LaneCredentials, lookup: Lookup): Promise<void> | undefined {
    const { outcome } = lookup;
    if (signal.aborted && outcome.kind === "network-error") {
      save(lane, call, { kind: "release", error: undefined });
      return undefined;
    }
    // What has not left is no call, for those who count them.
    if (outcome.kind !== "not-sent") {
      lane.calls.count(lookup);
      events.lookedUp({ instanceId: lane.instanceId, chatId: call.contact.chatId, lookup });
    }
    return carryOut(call, credentials, outcome);
  }

  function carryOut(call: Call, credentials: LaneCredentials, outcome: Outcome): Promise<void> | undefined {
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

  return async (call) => {
    lane.calls.begin(call.sentAt);
    try {
      const credentials = findCredentials(call.instance);
      if (credentials === undefined) return await breaker.refused(call, toHold("token-unreadable", policy));
      try {
        const lookup = await ports.getAvatar(credentials, call.contact.chatId, {
          signal,
          mayLeave: () => mayLeave(breaker, call),
        });
        // Nearly all calls end here: a wait for nothing would be one more turn.
        const rest = follow(call, credentials, lookup);
        if (rest) await rest;
      } catch (error) {
        noteError(error);
        await carryOut(call, credentials, ourFault);
      }
    } catch (error) {
      noteError(error);
    } finally {
      call.slot.end();
      lane.calls.end();
    }
  };
}

/** Opening a sealed token costs 10 µs, and every call needs one: the last one is kept. Undefined: this process cannot open it. */
function createCredentials(openToken: ContactCallsPorts["openToken"], instanceId: InstanceId) {
  let known: Pick<LeasedInstance, "sealedToken" | "apiUrl"> | undefined;
  let credentials: LaneCredentials | undefined;
  return ({ sealedToken, apiUrl }: LeasedInstance): LaneCredentials | undefined => {
    if (known?.sealedToken === sealedToken && known.apiUrl === apiUrl) return credentials;
    const token = openToken(sealedToken, { id: instanceId, apiUrl });
    known = { sealedToken, apiUrl };
    credentials = token === undefined ? undefined : { instanceId, apiUrl, token };
    return credentials;
  };
}

function mayLeave(breaker: Breaker, call: Call): boolean {
  if (!call.slot.mayLeave()) return false;
  breaker.sent(call);
  return true;
}
