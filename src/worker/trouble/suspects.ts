import { toChatKind } from "../../domain/chat-kind.ts";
import { drop, onAnswer, onFailure, rule } from "../../domain/trouble/blame.ts";
import {
  createBlameState,
  findLookAt,
  isSeenWorking,
  type BlameState,
} from "../../domain/trouble/blame-state.ts";
import type { Finding } from "../../domain/trouble/finding.ts";
import type { Hold } from "../../domain/trouble/hold.ts";
import type { Suspect } from "../../domain/trouble/suspect.ts";
import type { ContactDecision, ContactFailure, DecisionOf } from "../../domain/lookup/decide.ts";
import type { Clock } from "../lane/clocks.ts";
import type { Call } from "../run/call.ts";

export interface SuspectsPorts {
  readonly clock: Clock;
  /** Sees to a call's record: each call that failed is settled once. */
  readonly settle: (call: Call, decision: ContactDecision) => void;
}

/** The failed calls of one instance in one process that are in doubt: settled when it is known who is to blame. */
export interface Suspects {
  /** A clear answer came: charges the suspects that it proves guilty. */
  answered(call: Call): void;
  failed(call: Call, decision: DecisionOf<"suspect">): void;
  /** The state was looked at: charges contacts, or returns the hold that the instance's fault asks for. */
  rule(finding: Finding): { readonly hold: Hold; readonly askedAtMs: number } | undefined;
  /** Calls stop: releases all that wait. */
  release(error: string | undefined): void;
  /** When to look at the instance's state, ms by the process's clock; undefined: there is no need. */
  lookAt(): number | undefined;
  /** The state was seen to be fine just now: no need to ask. */
  isSeenWorking(): boolean;
}

interface FailedCall extends Suspect {
  readonly call: Call;
  readonly failure: ContactFailure;
}

export function createSuspects({ clock, settle }: SuspectsPorts): Suspects {
  let state: BlameState<FailedCall> = createBlameState();

  function charge(suspects: readonly FailedCall[]): void {
    for (const { call, failure } of suspects) settle(call, failure);
  }

  return {
    answered({ contact, sentAt }) {
      const { contactId, chatId } = contact;
      const answered = onAnswer(state, { contactId, kind: toChatKind(chatId), sentAt }, clock.now());
      ({ state } = answered);
      charge(answered.guilty);
    },
    failed(call, { failure, ground, hold }) {
      const { contactId, chatId } = call.contact;
      const kind = toChatKind(chatId);
      const times = { sentAt: call.sentAt, endedAt: clock.now() };
      const failed = onFailure(state, { contactId, kind, ...times, ground, hold, call, failure });
      ({ state } = failed);
      if (failed.fate === "charge") settle(call, failure);
      if (failed.fate === "release") settle(call, { kind: "release", error: failure.error });
    },
    rule(finding) {
      const ruled = rule(state, finding, clock.now());
      ({ state } = ruled);
      const { ruling } = ruled;
      if (ruling.kind === "hold") return { hold: ruling.hold, askedAtMs: ruling.evidence.call.askedAtMs };
      charge(ruling.suspects);
      return undefined;
    },
    release(error) {
      const dropped = drop(state, clock.now());
      ({ state } = dropped);
      for (const { call } of dropped.dropped) settle(call, { kind: "release", error });
    },
    lookAt: () => findLookAt(state),
    isSeenWorking: () => isSeenWorking(state, clock.now()),
  };
}
