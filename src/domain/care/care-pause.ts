import type { CareFacts } from "./care.ts";
import { findDay, findDayEnd, findQuietChange, isQuiet } from "./care-clock.ts";

/** Why an instance is not called now, for its own good, and until when. */
export interface CarePause {
  readonly reason: "quiet" | "capped";
  /** When calls go on. After a cap that may be at the end of quiet hours. */
  readonly until: Date;
}

/** Undefined: it may be called. Pure. */
export function findCarePause(care: CareFacts | undefined, now: Date): CarePause | undefined {
  if (care === undefined) return undefined;
  const nowMs = now.getTime();
  const isCapped = care.callsPerDay !== undefined && care.callsToday >= care.callsPerDay;
  if (!isCapped && !isQuiet(care, nowMs)) return undefined;
  const from = isCapped ? findDayEnd(care, findDay(care, nowMs)) : nowMs;
  const until = new Date(isQuiet(care, from) ? findQuietChange(care, from) : from);
  return { reason: isCapped ? "capped" : "quiet", until };
}

/**
 * The pause of a person's ask for a single contact: quiet hours may be none for it, a cap is one for all. Undefined: it is called
 * for now.
 */
export function findInteractivePause(care: CareFacts | undefined, now: Date): CarePause | undefined {
  return findCarePause(care?.quietInteractive ? { ...care, quiet: undefined } : care, now);
}
