import { assertNever } from "../../lib/errors.ts";
import type { Hold } from "./hold.ts";
import { createRecentResults, fewContacts, rememberedMs } from "./recent-results.ts";
import { countContacts, findLatest, groupByGround, isSign, type Ground, type Suspect } from "./suspect.ts";

/** What a look at getStateInstance tells of the instance. */
export type Finding =
  | { readonly kind: "works" }
  | { readonly kind: "trouble"; readonly hold: Hold }
  /** The provider does not answer for the state either: the look failed as lookups do. */
  | { readonly kind: "silent"; readonly ground: "silence" | "failure" }
  /** Nobody can tell: the question was refused for the rate, or could not be put. */
  | { readonly kind: "untold" };

/** Who is to blame: the contacts, which are charged, or the instance, by the evidence of a call of its. */
export type Ruling<S> =
  | { readonly kind: "charge"; readonly suspects: readonly S[] }
  | { readonly kind: "hold"; readonly hold: Hold; readonly evidence: S };

/**
 * Decides who is to blame for failed lookups of one instance, so that no contact is charged for its instance's fault (I6).
 *
 * A failed lookup is a suspect until one of these comes: a clear answer to a call that was sent no earlier, which proves
 * the instance fine, or a ruling after a look at the instance's state. The usual case, some failures among many answers,
 * needs no look.
 */
export interface Health<S extends Suspect> {
  /** Those that wait for a ruling. */
  readonly open: Iterable<S>;
  /** A clear answer came. Returns the suspects that it proves guilty. */
  answered(contactId: number, sentAt: number, now: number): readonly S[];
  /** A lookup failed. `wait`: it is open now; `release`: it tells of a trouble that is known. */
  failed(suspect: S): "charge" | "release" | "wait";
  /** When to look at the instance's state, ms by the process's clock; undefined: there is no need. */
  checkDueAt(): number | undefined;
  /** It was seen to work just now, and nobody says otherwise: no need to ask again. */
  isSeenWorking(now: number): boolean;
  /** Rules on all that is open. Suspects that are charged are open no more. */
  rule(finding: Finding, now: number): Ruling<S>;
  /** Calls stop: whatever was sent until now tells nothing of what comes after. Returns what was open, to be released. */
  drop(now: number): readonly S[];
}

/** An answer to a call that was sent later comes within this time, where there are any. */
const patienceMs = 2_000;
/** As many failures without an answer are looked into at once; of so many contacts, they are the instance's fault. */
const manyFailures = 10;
/** So many contacts say the same, with no answer in between: then it is believed. */
const signsInRow = 3;
/** The state that was seen is believed for so long. */
const worksForMs = 10_000;
/** While nobody can tell the state, it is looked at again after this long; each time after twice as long. */
const firstPauseMs = 15_000;
const mostPauseMs = 4 * 60_000;
/** Contacts that are known to fail while others are answered. */
const mostKnownBad = 1_000;

export function createHealth<S extends Suspect>(): Health<S> {
  /** With the moment at which each is looked into. */
  const open = new Map<S, number>();
  /** Looked into, and left open: what comes next decides. */
  const postponed = new Set<S>();
  /** Charged by a look alone: nobody has been answered since. */
  let unproven: readonly S[] = [];
  const results = createRecentResults<S>();
  /** What they do says nothing of the instance: a file's last contacts are those that always fail. */
  const knownBad = new Set<number>();
  let clusters = false;
  let latestAnswerSentAt = -Infinity;
  let seenWorkingAt = -Infinity;
  let droppedAt = -Infinity;
  let pauseMs = firstPauseMs;

  function close(suspect: S): void {
    open.delete(suspect);
    postponed.delete(suspect);
  }

  /** An answer proves it guilty. */
  function charge(suspect: S): void {
    close(suspect);
    knownBad.add(suspect.contactId);
    if (knownBad.size > mostKnownBad) knownBad.delete(knownBad.values().next().value as number);
  }

  const saysSomething = ({ contactId }: S) => !knownBad.has(contactId);

  /** The latest signs that are open and of one kind. */
  function listRow(): readonly S[] {
    const signs = [...open.keys()].filter((suspect) => isSign(suspect) && saysSomething(suspect));
    const ground = signs.at(-1)?.ground;
    return signs.slice(signs.findLastIndex((sign) => sign.ground !== ground) + 1);
  }

  /** The first of these signs is looked into at once, unless later calls have been answered. */
  function isUrgent(suspect: S): boolean {
    if (!isSign(suspect) || !saysSomething(suspect)) return false;
    const { length } = listRow();
    if (suspect.ground === "not-found") return length >= signsInRow;
    return length > 1 || latestAnswerSentAt < suspect.sentAt;
  }

  function findRow(): readonly S[] | undefined {
    const row = listRow();
    return countContacts(row) >= signsInRow ? row : undefined;
  }

  function listUnproven(now: number): readonly S[] {
    return unproven.filter(({ endedAt }) => endedAt > now - rememberedMs);
  }

  function findRun(now: number): readonly S[] | undefined {
    const run = [...listUnproven(now), ...open.keys()].filter(saysSomething);
    return run.length >= manyFailures && countContacts(run) >= fewContacts ? run : undefined;
  }

  /** Whose word stands when the provider does not answer for the state either. */
  function findBelieved(ground: Ground): readonly S[] | undefined {
    const suspects = [...open.keys()];
    const signs = suspects.filter(isSign);
    if (signs.length > 0) return signs;
    if (countContacts(suspects) >= fewContacts) return suspects;
    // A few that fail in another way than the provider does may do so for themselves.
    const alike = suspects.filter((suspect) => suspect.ground === ground);
    return alike.length > 0 ? alike : undefined;
  }

  /** The failures that are the instance's fault, by what is known of its state; undefined: none, for all we know. */
  function findEvidence(finding: Finding, now: number): readonly S[] | undefined {
    // An answer that came during the look speaks against bad news, not against failures that go on while all looks well.
    const cluster = clusters || finding.kind === "works" ? results.findCluster(now) : undefined;
    switch (finding.kind) {
      case "works":
      case "untold":
        return findRow() ?? findRun(now) ?? cluster;
      case "trouble":
        return open.size > 0 ? [...open.keys()] : cluster;
      case "silent":
        return findBelieved(finding.ground) ?? findRun(now) ?? cluster;
      default:
        return assertNever(finding);
    }
  }

  /** All but signs that are new: were it trouble after all, there would be more of them soon. */
  function chargeKnown(now: number): Ruling<S> {
    seenWorkingAt = now;
    pauseMs = firstPauseMs;
    const suspects: S[] = [];
    for (const [suspect, dueAt] of open) {
      const isKnown = postponed.has(suspect);
      if (!isSign(suspect) || (isKnown && dueAt <= now)) {
        suspects.push(suspect);
        continue;
      }
      postponed.add(suspect);
      open.set(suspect, isKnown ? Math.min(dueAt, now + patienceMs) : now + patienceMs);
    }
    for (const suspect of suspects) close(suspect);
    unproven = [...listUnproven(now), ...suspects];
    return { kind: "charge", suspects };
  }

  /** Calls go on meanwhile: an answer to one of them would tell, too. */
  function postpone(now: number): Ruling<S> {
    seenWorkingAt = -Infinity;
    for (const suspect of open.keys()) {
      postponed.add(suspect);
      open.set(suspect, now + pauseMs);
    }
    if (open.size > 0) pauseMs = Math.min(2 * pauseMs, mostPauseMs);
    return { kind: "charge", suspects: [] };
  }

  return {
    get open() {
      return open.keys();
    },
    answered(contactId, sentAt, now) {
      knownBad.delete(contactId);
      unproven = [];
      clusters = false;
      pauseMs = firstPauseMs;
      results.answered(now);
      latestAnswerSentAt = Math.max(latestAnswerSentAt, sentAt);
      const guilty = [...open.keys()].filter((suspect) => suspect.sentAt <= sentAt);
      for (const suspect of guilty) charge(suspect);
      return guilty;
    },
    failed(suspect) {
      if (suspect.sentAt < droppedAt) return "release";
      if (saysSomething(suspect)) {
        results.failed(suspect);
        clusters = results.findCluster(suspect.endedAt) !== undefined;
      }
      // A sign is of the moment when it came, not of the one when its call was sent: it takes an answer after it.
      if (!isSign(suspect) && suspect.sentAt <= latestAnswerSentAt) {
        charge(suspect);
        return "charge";
      }
      open.set(suspect, suspect.endedAt + patienceMs);
      if (isUrgent(suspect)) open.set(suspect, suspect.endedAt);
      return "wait";
    },
    checkDueAt() {
      if (clusters || open.size - postponed.size >= manyFailures) return -Infinity;
      return open.size === 0 ? undefined : Math.min(...open.values());
    },
    isSeenWorking: (now) =>
      now - seenWorkingAt < worksForMs &&
      ![...open.keys()].some((suspect) => isSign(suspect) && !postponed.has(suspect)),
    rule(finding, now) {
      const evidence = findEvidence(finding, now);
      clusters = false;
      if (evidence === undefined) return finding.kind === "works" ? chargeKnown(now) : postpone(now);
      if (finding.kind !== "trouble") return blame(evidence);
      return { kind: "hold", hold: finding.hold, evidence: findLatest(evidence) };
    },
    drop(now) {
      const suspects = [...open.keys()];
      open.clear();
      postponed.clear();
      unproven = [];
      results.clear();
      clusters = false;
      seenWorkingAt = -Infinity;
      droppedAt = now;
      pauseMs = firstPauseMs;
      return suspects;
    },
  };
}

/** Holds the instance for what most of these speak of. */
function blame<S extends Suspect>(suspects: readonly S[]): Ruling<S> {
  const most = groupByGround(suspects).reduce((a, b) => (b.length > a.length ? b : a));
  const evidence = findLatest(most);
  return { kind: "hold", hold: evidence.hold, evidence };
}
