import { assertNever } from "../../lib/errors.ts";
import { isProven, isTelling, listOpen, listUnproven, manyFailures, type BlameState } from "./blame-state.ts";
import type { Finding } from "./finding.ts";
import { fewContacts, findCluster } from "./recent-results.ts";
import { countContacts, isSign, type Ground, type Suspect } from "./suspect.ts";

/** A sign is believed when so many contacts bring it, with no answer in between. */
const signsInStreak = 3;

/**
 * The failures that are the instance's fault, by what is known of its state; undefined: the instance is not to blame, as far as is
 * known. Pure.
 */
export function findEvidence<S extends Suspect>(
  state: BlameState<S>,
  finding: Finding,
  now: number,
): readonly S[] | undefined {
  // An answer during the look speaks against bad news, not against failures that go on while all looks well.
  const counts = state.isCluster || finding.kind === "works";
  const cluster = counts ? findCluster(state.results, now) : undefined;
  switch (finding.kind) {
    case "works":
    case "untold":
      return findStreak(state) ?? findMany(state, now) ?? cluster;
    case "trouble":
      return state.open.length > 0 ? listOpen(state) : cluster;
    case "silent":
      return findBelieved(state, finding.ground) ?? findMany(state, now) ?? cluster;
    default:
      return assertNever(finding);
  }
}

/**
 * Tells whether the state is to be looked at for this suspect at once. So it is for the first sign, unless a later call has been
 * answered; for 404s, which a single chat may bring, it takes a streak.
 */
export function isUrgent<S extends Suspect>(state: BlameState<S>, suspect: S): boolean {
  if (!isSign(suspect) || !isTelling(state, suspect)) return false;
  const { length } = listStreak(state);
  if (suspect.ground === "not-found") return length >= signsInStreak;
  return length > 1 || !isProven(state, suspect);
}

/** The streak: the latest signs that are open, all of one ground. */
function listStreak<S extends Suspect>(state: BlameState<S>): readonly S[] {
  const signs = listOpen(state).filter((suspect) => isSign(suspect) && isTelling(state, suspect));
  const ground = signs.at(-1)?.ground;
  return signs.slice(signs.findLastIndex((sign) => sign.ground !== ground) + 1);
}

function findStreak<S extends Suspect>(state: BlameState<S>): readonly S[] | undefined {
  const streak = listStreak(state);
  return countContacts(streak) >= signsInStreak ? streak : undefined;
}

/** Failures in numbers since the last answer. */
function findMany<S extends Suspect>(state: BlameState<S>, now: number): readonly S[] | undefined {
  const failures = [...listUnproven(state, now), ...listOpen(state)].filter((suspect) =>
    isTelling(state, suspect),
  );
  return failures.length >= manyFailures && countContacts(failures) >= fewContacts ? failures : undefined;
}

/** The suspects that are believed when the provider does not answer for the state either. */
function findBelieved<S extends Suspect>(state: BlameState<S>, ground: Ground): readonly S[] | undefined {
  const suspects = listOpen(state);
  const signs = suspects.filter(isSign);
  if (signs.length > 0) return signs;
  if (countContacts(suspects) >= fewContacts) return suspects;
  // A few that fail in another way than the provider does may do so for themselves.
  const alike = suspects.filter((suspect) => suspect.ground === ground);
  return alike.length > 0 ? alike : undefined;
}
