import type { ResyncEnd, ResyncKind } from "./resync-run.ts";

/** An open run, as it stands when it may release contacts. */
export interface ReleaseFacts {
  readonly kind: ResyncKind;
  readonly endsAt: Date | undefined;
  /** Contacts in all at most. */
  readonly mostContacts: number | undefined;
  readonly released: number;
  /** Released and not answered yet: in flight and in their backoff, too. */
  readonly underWay: number;
  /** Those of them that no run has called for yet. */
  readonly waiting: number;
  /** The moment from which the share allows the next contact. */
  readonly nextReleaseAt: Date;
  readonly instanceState: "active" | "held" | "paused";
  /** It is held, and may be tried: one contact is needed for that. */
  readonly mayBeProbed: boolean;
  /** It has quiet hours, or its calls of the day are used up: what is released would only wait. */
  readonly isCarePaused: boolean;
  /** Calls per second that the instance may make now. */
  readonly callsPerSecond: number;
  /** The share of them that is the resync's now, 0 to 1. */
  readonly share: number;
}

export type ReleaseDecision =
  /** Release up to `limit` contacts; each takes `everyMs` of the share. */
  | { readonly kind: "release"; readonly limit: number; readonly everyMs: number }
  | { readonly kind: "wait"; readonly untilMs: number }
  | { readonly kind: "end"; readonly by: ResyncEnd };

/**
 * Contacts are released so far ahead of their calls: so few that what is more urgent or more worth is not kept waiting and a
 * share is kept over any such time; so many that no call slot passes unused between two looks.
 */
const releaseAheadMs = 12_000;
/** A run is looked at again when half of that is used up. */
export const releaseLeadMs = releaseAheadMs / 2;
/** An instance that may not be called is looked at again after this long; likewise one whose calls go to what is more urgent. */
const lookAgainMs = 15_000;

/** One in thirty days: less is nothing. */
const leastPerMs = 1 / (30 * 86_400_000);

/** How many contacts a run may make due now. Pure. @param now ms */
export function decideRelease(facts: ReleaseFacts, now: number): ReleaseDecision {
  const { endsAt, instanceState, share, underWay, waiting } = facts;
  if (endsAt !== undefined && endsAt.getTime() <= now) {
    return { kind: "end", by: instanceState === "active" ? "window-over" : instanceState };
  }
  const left = (facts.mostContacts ?? Infinity) - facts.released;
  if (left <= 0) return underWay === 0 ? { kind: "end", by: "limit" } : wait(now);
  if (facts.isCarePaused) return wait(now);
  // Where nothing else is due, nothing else would ever end the hold.
  if (facts.mayBeProbed && underWay === 0) return { kind: "release", limit: 1, everyMs: lookAgainMs };
  const perMs = (facts.callsPerSecond * share) / 1000;
  if (instanceState !== "active" || perMs < leastPerMs) return wait(now);
  const from = Math.max(now, facts.nextReleaseAt.getTime());
  const most = Math.max(1, Math.ceil(perMs * releaseAheadMs));
  // One at least: at a slow pace the next one is further ahead than that.
  const allowed =
    from > now + releaseLeadMs ? 0 : Math.max(1, Math.floor((now + releaseAheadMs - from) * perMs));
  const limit = Math.min(allowed, most - waiting, left);
  if (limit <= 0) return { kind: "wait", untilMs: Math.max(from - releaseLeadMs, now + 1_000) };
  return { kind: "release", limit, everyMs: 1 / perMs };
}

function wait(now: number): ReleaseDecision {
  return { kind: "wait", untilMs: now + lookAgainMs };
}

/** What follows from a release. */
export type AfterRelease =
  | { readonly kind: "next"; readonly nextReleaseAtMs: number }
  | { readonly kind: "end"; readonly by: "done" };

/** Nothing was due: who comes later is found within this time. */
const idleMs = 60_000;

/** What has come of a release: contacts that were due, and those of them that no other transaction had locked. */
export interface ReleasedCount {
  readonly found: number;
  readonly released: number;
}

/**
 * What a run does next that was allowed to release contacts. A night and a manual run are over when nothing is due and all have
 * had their answer; a trickle waits for the next. Pure.
 */
export function followRelease(
  facts: ReleaseFacts,
  { limit, everyMs }: Extract<ReleaseDecision, { kind: "release" }>,
  { found, released }: ReleasedCount,
  now: number,
): AfterRelease {
  const from = Math.max(now, facts.nextReleaseAt.getTime());
  const usedUntil = from + released * everyMs;
  // They were taken back to be looked at again when half of them is used up.
  if (released === limit) return { kind: "next", nextReleaseAtMs: usedUntil };
  if (found > 0 || facts.underWay > 0) {
    return { kind: "next", nextReleaseAtMs: Math.max(usedUntil, now + releaseLeadMs + 5_000) };
  }
  if (facts.kind !== "trickle") return { kind: "end", by: "done" };
  return { kind: "next", nextReleaseAtMs: now + releaseLeadMs + idleMs };
}
