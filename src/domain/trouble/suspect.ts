import type { ChatKind } from "../chat-kind.ts";
import type { Hold } from "./hold.ts";

/** A call that brought a clear answer. */
export type AnsweredCall = Pick<Suspect, "contactId" | "kind" | "sentAt">;

/**
 * The kind of a failure: what it may say of the instance. `silence`: nothing came in time; `failure`: something that is no answer; the
 * others are what a broken instance says, and now and then a provider of a single chat.
 */
export type Ground = "silence" | "failure" | "unauthorized" | "not-found" | "not-authorized";

/** A failed lookup that may be the contact's fault or the instance's. */
export interface Suspect {
  readonly contactId: number;
  readonly kind: ChatKind;
  /** When its call was sent, ms by the process's clock. */
  readonly sentAt: number;
  /** When its call failed, ms by the process's clock. */
  readonly endedAt: number;
  readonly ground: Ground;
  /** The hold of the instance, should it be to blame. */
  readonly hold: Hold;
}

/** Tells a sign, which is words of a broken instance, from the mere lack of an answer. */
export function isSign({ ground }: Pick<Suspect, "ground">): boolean {
  return ground !== "silence" && ground !== "failure";
}

/**
 * Does the answer prove that the instance was fine when the suspect's call was sent? Silence is judged by the kind of chat: in 2026 all
 * users of an account timed out while its groups were answered (provider contract, Outcomes).
 */
export function isProvenBy(
  { ground, kind, sentAt }: Pick<Suspect, "ground" | "kind" | "sentAt">,
  answer: Pick<AnsweredCall, "kind" | "sentAt">,
): boolean {
  return sentAt <= answer.sentAt && (ground !== "silence" || kind === answer.kind);
}

export function countContacts(suspects: readonly Suspect[]): number {
  return new Set(suspects.map(({ contactId }) => contactId)).size;
}

/** The suspect that was sent last. There must be one. */
export function findLatest<S extends Suspect>(suspects: readonly S[]): S {
  return suspects.reduce((latest, suspect) => (suspect.sentAt > latest.sentAt ? suspect : latest));
}

export function groupByGround<S extends Suspect>(suspects: readonly S[]): S[][] {
  const groups = new Map<Ground, S[]>();
  for (const suspect of suspects) {
    const group = groups.get(suspect.ground);
    if (group) group.push(suspect);
    else groups.set(suspect.ground, [suspect]);
  }
  return [...groups.values()];
}
