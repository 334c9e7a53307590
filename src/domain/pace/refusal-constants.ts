/**
 * How the pace of an instance answers to refusals (HTTP 429, `rate-overlimit`). The state is in the instance's row, so
 * that all processes share it and it survives them. `after-refusal.ts` says what follows from each, `provider-pace.ts` what the
 * pace is at a moment.
 *
 * A refusal in spite of which all calls of the second before it were taken is jitter: a request came early, or the one a second before
 * it late. Then the margin on top of each full second grows; it shrinks slowly while calls are made without a refusal. On loopback a
 * margin of 4 ms left 1.1 % of the calls refused, 12 ms 0.05 %; over the internet it takes more.
 */
export const initialMarginMs = 10;
export const leastMarginMs = 5;
export const mostMarginMs = 250;
export const marginGrowth = 1.5;
export const leastMarginGrowthMs = 4;
/** The share of the margin that is given up per minute of calls. */
export const marginDecayPerMinute = 0.05;

/** Refusals less than this apart are in a row, if nothing was taken in between. */
export const refusalsApartMs = 10_000;
/** So many refusals in a row leave nothing but a hold: the instance is called at the slowest already. */
export const refusalsForHold = 15;
/** Calls per second that the provider's refusals leave at least: as many as tell, within a second, that it takes calls again. */
export const slowestCalls = 1;
/** The share of the pace that is left by a refusal after which nothing is taken. From there it doubles each second. */
export const stormFactor = 0.5;
/** The share of what the provider still takes at which the pace begins after a refusal, until the last second is paid off. */
export const slowdownFactor = 0.7;

/** The first wait, after a refusal, before more is tried than was taken then. Doubled by each try that fails. */
export const firstProbeAfterMs = 2_000;
/** The longest of these waits: as long as so many calls take, and this long at least. */
export const mostCallsPerProbe = 100;
export const longestProbeAfterMs = 30_000;
/** A try goes so much beyond what was taken, and one call a second at least. What is beyond doubles with each step. */
export const probeShare = 0.1;
/** How long a step is kept; the first longer, by as long as so many calls at the rate that was taken need. */
export const probeStepMs = 1_000;
export const callsInFirstStep = 2;

/** The share of the pace that each refusal of WhatsApp's own leaves, down to the least. */
export const whatsappFactor = 0.7;
export const leastWhatsappShare = 0.1;
/** The share of the full rate that comes back per second after refusals of WhatsApp's. */
export const whatsappRecoveryPerSecond = 0.01;

/** Calls per second at least, unless the instance is slower by itself: below, a run would end before its slot comes. */
export const leastCallsAllowed = 0.1;
