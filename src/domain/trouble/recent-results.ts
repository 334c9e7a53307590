import { countContacts, type Suspect } from "./suspect.ts";

/** The last results of an instance's calls. */
export interface RecentResults<S> {
  answered(now: number): void;
  failed(suspect: S): void;
  /** The failures, where they are too many of a few contacts or more, even with answers in between. */
  findCluster(now: number): readonly S[] | undefined;
  clear(): void;
}

const kept = 20;
/** Failures older than this say nothing any more. */
export const rememberedMs = 10 * 60_000;
const tooMany = 16;
/** Failures of fewer contacts are theirs. */
export const fewContacts = 5;

export function createRecentResults<S extends Suspect>(): RecentResults<S> {
  let results: { readonly endedAt: number; readonly suspect: S | undefined }[] = [];

  function note(endedAt: number, suspect: S | undefined): void {
    results.push({ endedAt, suspect });
    if (results.length > kept) results.shift();
  }

  return {
    answered: (now) => note(now, undefined),
    failed: (suspect) => note(suspect.endedAt, suspect),
    findCluster(now) {
      results = results.filter(({ endedAt }) => endedAt > now - rememberedMs);
      const failures = results.flatMap(({ suspect }) => suspect ?? []);
      return failures.length >= tooMany && countContacts(failures) >= fewContacts ? failures : undefined;
    },
    clear() {
      results = [];
    },
  };
}
