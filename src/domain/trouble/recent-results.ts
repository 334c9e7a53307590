import { chatKinds, type ChatKind } from "../chat-kind.ts";
import { countContacts, type Suspect } from "./suspect.ts";

/** How one of the last calls ended. */
export interface CallResult<S> {
  readonly kind: ChatKind;
  readonly endedAt: number;
  /** Undefined: the call brought a clear answer. */
  readonly suspect: S | undefined;
}

const kept = 20;
/** Failures older than this say nothing any more. */
export const rememberedMs = 10 * 60_000;
const tooMany = 16;
/** Failures of fewer contacts are theirs. */
export const fewContacts = 5;

/** The last results of each kind with one more, oldest first. Pure. */
export function addResult<S>(
  results: readonly CallResult<S>[],
  result: CallResult<S>,
): readonly CallResult<S>[] {
  const more = [...results, result];
  const ofKind = more.filter(({ kind }) => kind === result.kind);
  if (ofKind.length <= kept) return more;
  return more.filter((one) => one !== ofKind[0]);
}

/**
 * The failures among the last results, where they are too many for whatever answers came in between: of those of all kinds, or the
 * silences of one kind among its own. Pure.
 */
export function findCluster<S extends Suspect>(
  results: readonly CallResult<S>[],
  now: number,
): readonly S[] | undefined {
  const recent = results.filter(({ endedAt }) => endedAt > now - rememberedMs);
  const toFailures = (some: typeof recent) => some.flatMap(({ suspect }) => (suspect ? [suspect] : []));
  const ofKinds = chatKinds.map((kind) =>
    toFailures(recent.filter((one) => one.kind === kind)).filter(({ ground }) => ground === "silence"),
  );
  return [toFailures(recent.slice(-kept)), ...ofKinds].find(
    (failures) => failures.length >= tooMany && countContacts(failures) >= fewContacts,
  );
}
