import { chatKinds, type ChatKind } from "../chat-kind.ts";
import { noResults, rememberedMs, type RecentResults } from "./recent-results.ts";
import { isProvenBy, isSign, type Suspect } from "./suspect.ts";

/**
 * The failed lookups of one instance, as far as one process knows of them. Plain data: the transitions are in blame.ts. Moments are
 * ms by the process's clock.
 */
export interface BlameState<S extends Suspect> {
  /** The suspects that wait for a ruling, in the order in which they failed. */
  readonly open: readonly OpenSuspect<S>[];
  /** Suspects that were charged by a look alone: no contact has been answered since. */
  readonly unproven: readonly S[];
  readonly results: RecentResults<S>;
  /** Contacts that failed while others were answered: a file's last contacts are those that always fail. */
  readonly knownBad: ReadonlySet<number>;
  /** The last failure made the results a cluster. An answer or a ruling ends it. */
  readonly isCluster: boolean;
  /** When the latest call that has been answered was sent, of each kind of chat. */
  readonly answeredSentAt: Readonly<Record<ChatKind, number>>;
  readonly seenWorkingAt: number;
  /** Calls that were sent before this moment tell nothing: the instance was held then. */
  readonly droppedAt: number;
  /** How long the next look is put off, should this one tell nothing. */
  readonly pauseMs: number;
}

export interface OpenSuspect<S> {
  readonly suspect: S;
  /** When the instance's state is looked at for it, at the latest. */
  readonly lookAt: number;
  /** Looked into once, and left open: what comes next decides. */
  readonly isPostponed: boolean;
}

/** Ten failures without an answer are looked into at once; of five contacts, they are the instance's fault. */
export const manyFailures = 10;
/** The state that was seen is believed for so long. */
const worksForMs = 10_000;
/** While no look tells the state, the next one comes after this long, then each after twice as long. */
export const firstPauseMs = 15_000;

export function createBlameState<S extends Suspect>(): BlameState<S> {
  return {
    open: [],
    unproven: [],
    results: noResults,
    knownBad: new Set(),
    isCluster: false,
    answeredSentAt: { user: -Infinity, group: -Infinity, lid: -Infinity },
    seenWorkingAt: -Infinity,
    droppedAt: -Infinity,
    pauseMs: firstPauseMs,
  };
}

export function listOpen<S extends Suspect>({ open }: Pick<BlameState<S>, "open">): readonly S[] {
  return open.map(({ suspect }) => suspect);
}

/** When to look at the instance's state; -Infinity: at once; undefined: there is no need. Pure. */
export function findLookAt<S extends Suspect>({ open, isCluster }: BlameState<S>): number | undefined {
  if (isCluster || countNew(open) >= manyFailures) return -Infinity;
  return open.length === 0 ? undefined : Math.min(...open.map(({ lookAt }) => lookAt));
}

/** The state was seen to be fine just now, and no new sign says otherwise: no need to ask again. Pure. */
export function isSeenWorking<S extends Suspect>(
  { open, seenWorkingAt }: BlameState<S>,
  now: number,
): boolean {
  return (
    now - seenWorkingAt < worksForMs &&
    !open.some(({ suspect, isPostponed }) => isSign(suspect) && !isPostponed)
  );
}

/** Does the suspect say something of the instance? One of a contact that fails while others are answered does not. */
export function isTelling<S extends Suspect>(
  { knownBad }: Pick<BlameState<S>, "knownBad">,
  { contactId }: S,
): boolean {
  return !knownBad.has(contactId);
}

/** The suspects charged by a look alone that are not too old to count. */
export function listUnproven<S extends Suspect>(
  { unproven }: Pick<BlameState<S>, "unproven">,
  now: number,
): readonly S[] {
  return unproven.filter(({ endedAt }) => endedAt > now - rememberedMs);
}

/** Has an answer to a call that was sent no earlier proved the instance fine? Of silence only one of its own kind does. */
export function isProven<S extends Suspect>(
  { answeredSentAt }: Pick<BlameState<S>, "answeredSentAt">,
  suspect: S,
): boolean {
  return chatKinds.some((kind) => isProvenBy(suspect, { kind, sentAt: answeredSentAt[kind] }));
}

/**
 * The kinds that were answered although this one is silent: each by a call that was sent no earlier than the first of these silences.
 * None, where a sign is among them, or chats of several kinds.
 */
export function listAnsweredBeside<S extends Suspect>(
  { answeredSentAt }: Pick<BlameState<S>, "answeredSentAt">,
  silences: readonly S[],
): readonly ChatKind[] {
  const kind = silences[0]?.kind;
  if (silences.some((one) => one.ground !== "silence" || one.kind !== kind)) return [];
  const since = Math.min(...silences.map(({ sentAt }) => sentAt));
  return chatKinds.filter((other) => other !== kind && answeredSentAt[other] >= since);
}

function countNew(open: readonly OpenSuspect<Suspect>[]): number {
  return open.filter(({ isPostponed }) => !isPostponed).length;
}
