import { firstStepMs, providerRateAt, type ProviderPace } from "./provider-pace.ts";
import {
  firstProbeAfterMs,
  leastMarginGrowthMs,
  longestProbeAfterMs,
  marginGrowth,
  mostCallsPerProbe,
  mostMarginMs,
  refusalsApartMs,
  slowdownFactor,
  slowestCalls,
  stormFactor,
} from "./refusal-constants.ts";

/** What refusals have taught about an instance. Moments are by the database's clock. */
export interface LearnedPace {
  readonly marginMs: number;
  /** Undefined: the provider has never refused more than jitter explains. */
  readonly provider: ProviderPace | undefined;
  /** The last refusal that was no old news, by the provider or by WhatsApp. */
  readonly refusedAtMs: number | undefined;
  /** Refusals in a row. */
  readonly refusals: number;
}

/** What became of the calls before a refused one, as its process knows; at a slow pace of the last one at least. */
export interface CallsBefore {
  /**
   * Those of the second before it that were not refused, or not yet: as many as the provider takes in one, where it refuses for
   * that.
   */
  readonly taken: number;
  /** Those of the two seconds before it that were. Two: jitter must not hide those that are a whole second apart. */
  readonly refused: number;
  /** One that was sent in the two seconds before it, or later, has its answer. */
  readonly isAnswering: boolean;
}

/** A call that was refused for the rate, and was sent after the last change of the pace. */
export interface NewRefusal {
  /** The provider's own limit (HTTP 429), or WhatsApp's for the account (`rate-overlimit`). */
  readonly by: "provider" | "whatsapp";
  readonly askedAtMs: number;
  readonly nowMs: number;
  /** Calls per second that were allowed when it was sent. */
  readonly callsAllowed: number;
  readonly before: CallsBefore;
}

/** Calls in flight at the last pace tell nothing of the new one. Longer than this no climb waits for their answers. */
const longestAnswerMs = 5_000;

/**
 * What follows from a refusal. One of WhatsApp's changes the count alone: its slow-down is a share of the rate, of its own
 * (store/work/throttle.ts). One of the provider's is read by the calls before it:
 *
 * | of the calls before it | means                                                   | what follows                            |
 * | ---------------------- | ------------------------------------------------------- | --------------------------------------- |
 * | the pace tries more    | the level is where it was                               | back to it; the next try comes later    |
 * | none was taken         | the provider is in trouble: this tells nothing of rates | half the pace, which doubles per second |
 * | all, or it is alone    | jitter                                                  | a wider margin, until it is at its most |
 * | some                   | so many are taken in a second                           | that level; soon more is tried          |
 */
export function afterRefusal(pace: LearnedPace, refusal: NewRefusal): LearnedPace {
  const isAlone = pace.refusedAtMs === undefined || refusal.nowMs - pace.refusedAtMs >= refusalsApartMs;
  const learned: LearnedPace = {
    ...pace,
    refusedAtMs: refusal.nowMs,
    refusals: countRefusals(pace, refusal, isAlone),
  };
  return refusal.by === "whatsapp" ? learned : { ...learned, ...learnFrom(pace, refusal, isAlone) };
}

function learnFrom(
  { provider, marginMs }: LearnedPace,
  refusal: NewRefusal,
  isAlone: boolean,
): Pick<LearnedPace, "marginMs"> | Pick<LearnedPace, "provider"> {
  const { callsAllowed, before } = refusal;
  if (provider?.takenRate !== undefined && isProbe(provider, provider.takenRate, refusal)) {
    return { provider: endProbe(provider, provider.takenRate, refusal) };
  }
  if (before.taken === 0 && (before.refused > 0 || !isAlone)) {
    const slowest = Math.min(slowestCalls, callsAllowed);
    return { provider: climbFrom(Math.max(slowest, stormFactor * callsAllowed), undefined, 0, refusal) };
  }
  if ((isAlone || before.refused === 0) && marginMs < mostMarginMs) {
    const wider = Math.max(marginMs * marginGrowth, marginMs + leastMarginGrowthMs);
    return { marginMs: Math.min(mostMarginMs, wider) };
  }
  return { provider: stayAt(toLevel(refusal), firstProbeAfterMs, refusal) };
}

/**
 * A provider that answers in between is none that refuses on end, unless it does so at the slowest pace. Where the calls before are
 * not all known to be refused, it may be one or not.
 */
function countRefusals(
  pace: LearnedPace,
  { by, callsAllowed, before }: NewRefusal,
  isAlone: boolean,
): number {
  if (isAlone) return 1;
  const counts = by === "whatsapp" || callsAllowed <= slowestCalls;
  if (before.isAnswering && !counts) return 1;
  return Math.min(pace.refusals, 1_000) + (counts || before.taken === 0 ? 1 : 0);
}

/** Was the call sent at a pace that had not been kept for a step without a refusal? */
function isProbe(
  provider: ProviderPace,
  takenRate: number,
  { askedAtMs, callsAllowed }: NewRefusal,
): boolean {
  const before = providerRateAt(provider, askedAtMs - firstStepMs(takenRate));
  return callsAllowed > Math.max(takenRate, before);
}

/** More was tried, in vain or not: some of the steps may have been taken. */
function endProbe(provider: ProviderPace, takenRate: number, refusal: NewRefusal): ProviderPace {
  const belowRefused = Math.ceil(refusal.callsAllowed) - 1;
  const level = Math.max(takenRate, Math.min(refusal.before.taken, belowRefused));
  if (level > takenRate) return stayAt(level, firstProbeAfterMs, refusal);
  const longestMs = Math.max(longestProbeAfterMs, (1000 * mostCallsPerProbe) / level);
  return stayAt(level, Math.min(2 * provider.probeAfterMs, longestMs), refusal);
}

/** As many as were taken; where none was refused and the margin is at its most, it is the pace that is too fast. */
function toLevel({ callsAllowed, before }: NewRefusal): number {
  if (before.refused > 0) return Math.min(before.taken, callsAllowed);
  return slowdownFactor * Math.min(callsAllowed, Math.max(1, before.taken));
}

function stayAt(level: number, probeAfterMs: number, refusal: NewRefusal): ProviderPace {
  return climbFrom(slowdownFactor * level, level, probeAfterMs, refusal);
}

function climbFrom(
  climbRate: number,
  takenRate: number | undefined,
  probeAfterMs: number,
  { askedAtMs, nowMs }: NewRefusal,
): ProviderPace {
  const answerMs = Math.min(Math.max(0, nowMs - askedAtMs), longestAnswerMs);
  return { climbRate, climbFromMs: nowMs + answerMs, takenRate, probeAfterMs };
}
