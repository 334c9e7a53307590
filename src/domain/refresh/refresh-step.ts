/**
 * What a contact that rests is worth when it is due, in one small number that can be indexed. Below 0: causes that come before
 * mere age, the lowest first. From 0 on: its interval, in quarters of an octave from an hour, so that contacts that are as late
 * relative to their intervals can be compared without a look at each.
 */
export const requestedStep = -3;
export const neverAskedStep = -2;
export const expiringUrlStep = -1;

/** The shortest interval that has a step of its own. */
export const hourMs = 3_600_000;
export const stepsPerOctave = 4;
const mostSteps = 100;

/**
 * The share of the contacts taken at a time that is kept for those that are due by mere age, where there are so many. Fresh URLs
 * alone may need more calls than there are: without it, contacts with no URL, or one that lives for long, were never asked again.
 */
export const agedShare = 0.25;

/** The step of an interval, at least 0. */
export function toStep(intervalMs: number): number {
  return Math.min(mostSteps, Math.max(0, Math.round(stepsPerOctave * Math.log2(intervalMs / hourMs))));
}

/** The interval of a step that is not below 0, ms, to within 9 %. */
export function toIntervalMs(step: number): number {
  return hourMs * 2 ** (step / stepsPerOctave);
}

/** Why a contact is due, most urgent first. */
export const refreshCauses = ["requested", "never-asked", "expiring-url", "age"] as const;
export type RefreshCause = (typeof refreshCauses)[number];

export function toRefreshCause(step: number): RefreshCause {
  return refreshCauses[Math.min(0, Math.max(requestedStep, step)) - requestedStep] as RefreshCause;
}
