/**
 * How the pace of an instance answers to refusals (HTTP 429, `rate-overlimit`). The state is in the instance's row, so
 * that all processes share it and it survives them; the statements of the store apply these numbers.
 *
 * A lone refusal is jitter: a request came early, or the one a second before it late. Then the margin on top of each full second
 * grows; it shrinks slowly while calls are made without a refusal. On loopback a margin of 4 ms left
 * 1.1 % of the calls refused, 12 ms 0.05 %; over the internet it takes more. Refusals that go on mean that the provider
 * allows less than the rate: then the whole pace is lowered.
 */
export const initialMarginMs = 10;
export const leastMarginMs = 5;
export const mostMarginMs = 250;
export const marginGrowth = 1.5;
export const leastMarginGrowthMs = 4;
/** The share of the margin that is given up per minute of calls. */
export const marginDecayPerMinute = 0.05;

/** Refusals less than this apart are in a row. */
export const refusalsApartMs = 10_000;
/** So many refusals in a row are answered with margin alone. */
export const refusalsForMargin = 6;
/** The share of the pace that each further refusal, and each of WhatsApp's own, leaves. */
export const slowdownFactor = 0.7;
export const leastSlowdown = 0.1;
/** Calls per second at least, unless the instance is slower by itself: below, a claim would expire before its slot comes. */
export const leastCallsAllowed = 0.1;
/** The share of the full rate that comes back per second. */
export const recoveryPerSecond = 0.01;
/** So many refusals in a row leave nothing but a hold: the instance is called at the slowest already. */
export const refusalsForHold = 15;
