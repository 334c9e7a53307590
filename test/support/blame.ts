import type { ChatKind } from "../../src/domain/chat-kind.ts";
import { drop, onAnswer, onFailure, rule, type Fate, type Ruling } from "../../src/domain/trouble/blame.ts";
import {
  createBlameState,
  findLookAt,
  isSeenWorking,
  listOpen,
} from "../../src/domain/trouble/blame-state.ts";
import type { Finding } from "../../src/domain/trouble/finding.ts";
import type { Suspect } from "../../src/domain/trouble/suspect.ts";

/** A blame state that is replaced by each transition, as a process has one for each instance. */
export interface Blame<S extends Suspect> {
  readonly open: readonly S[];
  answered(contactId: number, sentAt: number, now: number, kind?: ChatKind): readonly S[];
  failed(suspect: S): Fate;
  lookAt(): number | undefined;
  isSeenWorking(now: number): boolean;
  rule(finding: Finding, now: number): Ruling<S>;
  drop(now: number): readonly S[];
}

export function openBlame<S extends Suspect>(): Blame<S> {
  let state = createBlameState<S>();
  return {
    get open() {
      return listOpen(state);
    },
    answered(contactId, sentAt, now, kind = "user") {
      const answered = onAnswer(state, { contactId, kind, sentAt }, now);
      ({ state } = answered);
      return answered.guilty;
    },
    failed(suspect) {
      const failed = onFailure(state, suspect);
      ({ state } = failed);
      return failed.fate;
    },
    lookAt: () => findLookAt(state),
    isSeenWorking: (now) => isSeenWorking(state, now),
    rule(finding, now) {
      const ruled = rule(state, finding, now);
      ({ state } = ruled);
      return ruled.ruling;
    },
    drop(now) {
      const dropped = drop(state, now);
      ({ state } = dropped);
      return dropped.dropped;
    },
  };
}
