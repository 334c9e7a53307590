import { countContacts, type Suspect } from "./suspect.ts";

/** How one of the last calls ended. */
export interface CallResult<S> {
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

/** The last results with one more, oldest first. Pure. */
export function addResult<S>(
  results: readonly CallResult<S>[],
  result: CallResult<S>,
): readonly CallResult<S>[] {
  return [...results, result].slice(-kept);
}

/** The failures among the last results, where they are too many for whatever answers came in between. Pure. */
export function findCluster<S extends Suspect>(
  results: readonly CallResult<S>[],
  now: number,
): readonly S[] | undefined {
  const failures = results.flatMap(({ endedAt, suspect }) =>
    suspect !== undefined && endedAt > now - rememberedMs ? [suspect] : [],
  );
  return failures.length >= tooMany && countContacts(failures) >= fewContacts ? failures : undefined;
}
