import { chatKinds, type ChatKind } from "../chat-kind.ts";
import { countContacts, type Suspect } from "./suspect.ts";

/** How the last calls ended. Answers are counted only: of each call there is one, and they say no more. Plain data. */
export interface RecentResults<S> {
  /** Calls that have ended so far, by the kind of chat. */
  readonly ended: CallsOfKinds;
  /** The failures among the last of them, oldest first. */
  readonly failures: readonly RecentFailure<S>[];
}

type CallsOfKinds = Readonly<Record<ChatKind, number>>;

interface RecentFailure<S> {
  readonly suspect: S;
  /** Calls that had ended before it. */
  readonly after: CallsOfKinds;
}

const kept = 20;
/** Failures older than this say nothing any more. */
export const rememberedMs = 10 * 60_000;
const tooMany = 16;
/** Failures of fewer contacts are theirs. */
export const fewContacts = 5;

export const noResults: RecentResults<never> = { ended: { user: 0, group: 0, lid: 0 }, failures: [] };

/** One more call has brought a clear answer. Pure. */
export function addAnswer<S>({ ended, failures }: RecentResults<S>, kind: ChatKind): RecentResults<S> {
  return { ended: addOne(ended, kind), failures };
}

/** One more call has failed. Pure. */
export function addFailure<S extends Suspect>(
  { ended: before, failures }: RecentResults<S>,
  suspect: S,
): RecentResults<S> {
  const ended = addOne(before, suspect.kind);
  const more = [...failures, { suspect, after: before }];
  return { ended, failures: more.filter((one) => isOfLast(one, ended) || isOfLastOfKind(one, ended)) };
}

/**
 * The failures among the last results, where they are too many for whatever answers came in between: of those of all kinds, or the
 * silences of one kind among its own. Pure.
 */
export function findCluster<S extends Suspect>(
  { ended, failures }: RecentResults<S>,
  now: number,
): readonly S[] | undefined {
  if (failures.length < tooMany) return undefined;
  const recent = failures.filter(({ suspect }) => suspect.endedAt > now - rememberedMs);
  const silences = recent.filter((one) => one.suspect.ground === "silence" && isOfLastOfKind(one, ended));
  return [
    recent.filter((one) => isOfLast(one, ended)),
    ...chatKinds.map((kind) => silences.filter(({ suspect }) => suspect.kind === kind)),
  ]
    .map((some) => some.map(({ suspect }) => suspect))
    .find((some) => some.length >= tooMany && countContacts(some) >= fewContacts);
}

/** Is it one of the last calls of all kinds? */
function isOfLast({ after }: RecentFailure<Suspect>, ended: CallsOfKinds): boolean {
  return countAll(ended) - countAll(after) <= kept;
}

/** Is it one of the last calls of its kind? */
function isOfLastOfKind({ suspect: { kind }, after }: RecentFailure<Suspect>, ended: CallsOfKinds): boolean {
  return ended[kind] - after[kind] <= kept;
}

function countAll({ user, group, lid }: CallsOfKinds): number {
  return user + group + lid;
}

function addOne({ user, group, lid }: CallsOfKinds, kind: ChatKind): CallsOfKinds {
  switch (kind) {
    case "user":
      return { user: user + 1, group, lid };
    case "group":
      return { user, group: group + 1, lid };
    case "lid":
      return { user, group, lid: lid + 1 };
  }
}
