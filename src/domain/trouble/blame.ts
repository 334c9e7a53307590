/*
 * Decides who is to blame for failed lookups of one instance, so that no contact is charged for its instance's fault (I6).
 *
 * A failed lookup is a suspect, and open, until one of these comes. A clear answer to a call that was sent no earlier proves the
 * instance fine, and the suspect is charged. Else its instance's state is looked at, and a ruling follows. The usual case, some
 * failures among many answers, needs no look.
 *
 *   the look finds     a sign (401, 404, logged out)       the lack of an answer (silence, failure)
 *   -----------------  ----------------------------------  ---------------------------------------------------------
 *   works              waits 2 s more, then is charged     is charged
 *   trouble            holds, for what the look found      holds, for what the look found
 *   silent             holds                               holds, if alike with the look or of 5 contacts; else waits
 *   untold             waits                               waits
 *
 * Silence is judged by the kind of chat (user, group, privacy id). Only an answer to a chat of its own kind proves it the contact's
 * fault. While other kinds are answered and its own is not, a fine state does not prove it either: it waits for a minute. In numbers
 * it holds its own kind alone (narrowHold).
 *
 * To wait is 15 s, 30 s … up to 4 min until the next look, while calls go on: an answer to one of them would tell, too.
 * Where the table does not hold, the first of these still does; the last two may hold with nothing open:
 *
 *   a streak     3 contacts bring the same sign one after the other           not by trouble or silent, which hold at once
 *   numbers      10 failures of 5 contacts since the last answer              not by trouble
 *   a cluster    16 failures of 5 contacts among the last 20 results          not by bad news that an answer has overtaken
 */
import {
  firstPauseMs,
  isProven,
  isTelling,
  listAnsweredBeside,
  listOpen,
  listUnproven,
  type BlameState,
} from "./blame-state.ts";
import { findEvidence, isUrgent } from "./evidence.ts";
import type { Finding } from "./finding.ts";
import { narrowHold, type Hold } from "./hold.ts";
import { addAnswer, addFailure, findCluster, noResults } from "./recent-results.ts";
import { findLatest, groupByGround, isProvenBy, isSign, type AnsweredCall, type Suspect } from "./suspect.ts";

/** Who is to blame: the contacts, which are charged, or the instance, by the evidence of one of its calls. */
export type Ruling<S> =
  | { readonly kind: "charge"; readonly suspects: readonly S[] }
  | { readonly kind: "hold"; readonly hold: Hold; readonly evidence: S };

/** `charge`: an answer has proved the instance fine already; `release`: it tells of a trouble that is known; `wait`: it is open. */
export type Fate = "charge" | "release" | "wait";

/** An answer to a call that was sent later comes within this time, where there are any. */
const patienceMs = 2_000;
/** Long enough for ten more, of five contacts, at a slow pace. */
const besidePatienceMs = 60_000;
const mostPauseMs = 4 * 60_000;
const mostKnownBad = 1_000;

/** A clear answer came. Returns also the suspects that it proves guilty: they are open no more, and charged. Pure. */
export function onAnswer<S extends Suspect>(
  state: BlameState<S>,
  answer: AnsweredCall,
  now: number,
): { readonly state: BlameState<S>; readonly guilty: readonly S[] } {
  const { contactId, kind } = answer;
  const results = addAnswer(state.results, kind);
  const answeredSentAt = noteSentAt(state, answer);
  // The usual case by far, and taken for each call: nothing is in doubt.
  if (state.open.length === 0 && state.unproven.length === 0 && state.knownBad.size === 0 && !state.isCluster)
    return { state: { ...state, results, answeredSentAt, pauseMs: firstPauseMs }, guilty: [] };
  const guilty = listOpen(state).filter((suspect) => isProvenBy(suspect, answer));
  const ofOtherKinds = ({ ground, kind: other }: S) => ground === "silence" && other !== kind;
  return {
    guilty,
    state: {
      ...state,
      open:
        guilty.length === 0 ? state.open : state.open.filter(({ suspect }) => !isProvenBy(suspect, answer)),
      unproven: state.unproven.length === 0 ? state.unproven : state.unproven.filter(ofOtherKinds),
      results,
      knownBad: addKnownBad(removeKnownBad(state.knownBad, contactId), guilty),
      isCluster: state.isCluster && findCluster(results, now)?.every(ofOtherKinds) === true,
      answeredSentAt,
      pauseMs: listOpen(state).some(ofOtherKinds) ? state.pauseMs : firstPauseMs,
    },
  };
}

function noteSentAt<S extends Suspect>(
  { answeredSentAt }: BlameState<S>,
  { kind, sentAt }: AnsweredCall,
): BlameState<S>["answeredSentAt"] {
  return sentAt > answeredSentAt[kind] ? { ...answeredSentAt, [kind]: sentAt } : answeredSentAt;
}

/** A lookup failed. Returns also its fate: only one that waits is open now. Pure. */
export function onFailure<S extends Suspect>(
  before: BlameState<S>,
  suspect: S,
): { readonly state: BlameState<S>; readonly fate: Fate } {
  if (suspect.sentAt < before.droppedAt) return { state: before, fate: "release" };
  const state = isTelling(before, suspect) ? noteFailure(before, suspect) : before;
  // A sign is news of the moment when it came, however long ago its call was sent: only a later answer clears the instance.
  if (!isSign(suspect) && isProven(state, suspect)) {
    return { state: { ...state, knownBad: addKnownBad(state.knownBad, [suspect]) }, fate: "charge" };
  }
  const open = [...state.open, { suspect, lookAt: suspect.endedAt + patienceMs, isPostponed: false }];
  const patient = { ...state, open };
  return { state: isUrgent(patient, suspect) ? hurry(patient, suspect) : patient, fate: "wait" };
}

/** The instance's state was looked at. Returns also the ruling; suspects that it charges are open no more. Pure. */
export function rule<S extends Suspect>(
  before: BlameState<S>,
  finding: Finding,
  now: number,
): { readonly state: BlameState<S>; readonly ruling: Ruling<S> } {
  const evidence = findEvidence(before, finding, now);
  const state = { ...before, isCluster: false };
  if (evidence !== undefined) return { state, ruling: toHoldRuling(state, evidence, finding) };
  if (finding.kind === "works") return chargeKnown(state, now);
  return { state: postpone(state, now), ruling: { kind: "charge", suspects: [] } };
}

/**
 * Calls stop: whatever was sent until now tells nothing of what comes after. Returns also the suspects that were open, to be
 * released. Pure.
 */
export function drop<S extends Suspect>(
  state: BlameState<S>,
  now: number,
): { readonly state: BlameState<S>; readonly dropped: readonly S[] } {
  return {
    dropped: listOpen(state),
    state: {
      ...state,
      open: [],
      unproven: [],
      results: noResults,
      isCluster: false,
      seenWorkingAt: -Infinity,
      droppedAt: now,
      pauseMs: firstPauseMs,
    },
  };
}

/** The state is looked at for this suspect as soon as it has failed. */
function hurry<S extends Suspect>(state: BlameState<S>, suspect: S): BlameState<S> {
  const open = state.open.map((one) => (one.suspect === suspect ? { ...one, lookAt: suspect.endedAt } : one));
  return { ...state, open };
}

function noteFailure<S extends Suspect>(state: BlameState<S>, suspect: S): BlameState<S> {
  const results = addFailure(state.results, suspect);
  return { ...state, results, isCluster: findCluster(results, suspect.endedAt) !== undefined };
}

/**
 * Charges all that is open but new signs, and silences of a kind beside which others are answered: were the instance in trouble after
 * all, more of them would come soon.
 */
function chargeKnown<S extends Suspect>(
  state: BlameState<S>,
  now: number,
): { readonly state: BlameState<S>; readonly ruling: Ruling<S> } {
  const toWaitMs = (suspect: S) => {
    if (isSign(suspect)) return patienceMs;
    return listAnsweredBeside(state, [suspect]).length > 0 ? besidePatienceMs : 0;
  };
  const judged = state.open.map(({ suspect, lookAt, isPostponed }) => {
    const patientUntil = now + toWaitMs(suspect);
    return {
      suspect,
      lookAt: isPostponed ? Math.min(lookAt, patientUntil) : patientUntil,
      isPostponed: true,
    };
  });
  const suspects = listOpen({ open: judged.filter(({ lookAt }) => lookAt <= now) });
  const open = judged.filter(({ lookAt }) => lookAt > now);
  const unproven = [...listUnproven(state, now), ...suspects];
  return {
    state: { ...state, open, unproven, seenWorkingAt: now, pauseMs: firstPauseMs },
    ruling: { kind: "charge", suspects },
  };
}

/** Leaves all that is open for a later look. */
function postpone<S extends Suspect>(state: BlameState<S>, now: number): BlameState<S> {
  const { open, pauseMs } = state;
  return {
    ...state,
    open: open.map(({ suspect }) => ({ suspect, lookAt: now + pauseMs, isPostponed: true })),
    seenWorkingAt: -Infinity,
    pauseMs: open.length > 0 ? Math.min(2 * pauseMs, mostPauseMs) : pauseMs,
  };
}

/**
 * Holds the instance for what the look found, or else for what most of the evidence speaks of; for one kind alone where others are
 * answered.
 */
function toHoldRuling<S extends Suspect>(
  state: BlameState<S>,
  evidence: readonly S[],
  finding: Finding,
): Ruling<S> {
  if (finding.kind === "trouble") {
    return { kind: "hold", hold: finding.hold, evidence: findLatest(evidence) };
  }
  const most = groupByGround(evidence).reduce((a, b) => (b.length > a.length ? b : a));
  const latest = findLatest(most);
  const answered = finding.kind === "silent" ? [] : listAnsweredBeside(state, most);
  return { kind: "hold", hold: narrowHold(latest.hold, latest.kind, answered), evidence: latest };
}

/** The contacts of these suspects, too, fail while others are answered; the oldest are forgotten where there are too many. */
function addKnownBad(known: ReadonlySet<number>, suspects: readonly Suspect[]): ReadonlySet<number> {
  if (suspects.length === 0) return known;
  const ids = new Set(known);
  for (const { contactId } of suspects) {
    ids.add(contactId);
    if (ids.size > mostKnownBad) ids.delete(ids.values().next().value as number);
  }
  return ids;
}

function removeKnownBad(known: ReadonlySet<number>, contactId: number): ReadonlySet<number> {
  if (!known.has(contactId)) return known;
  return new Set([...known].filter((id) => id !== contactId));
}
