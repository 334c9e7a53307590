import { afterRefusal, type LearnedPace } from "../../src/domain/pace/after-refusal.ts";
import { createPacer } from "../../src/domain/pace/pacer.ts";
import { providerRateAt } from "../../src/domain/pace/provider-pace.ts";
import { initialMarginMs, refusalsForHold } from "../../src/domain/pace/refusal-constants.ts";
import { createRecentCalls } from "../../src/worker/trouble/recent-calls.ts";

/** A provider, and an instance that is called at its pace. All durations in ms of virtual time. */
export interface ProviderWorld {
  /** Calls per second that the instance is set to. */
  readonly rate: number;
  /** Calls that the provider takes in any sliding second, at a moment. */
  readonly allowed: (atMs: number) => number;
  readonly untilMs: number;
  /** How long it takes until an answer, or a refusal, is known. */
  readonly answerMs?: number;
  readonly refusalMs?: number;
  /** How late a call arrives, by its number. */
  readonly lateness?: (call: number) => number;
  /** Refused in spite of all, by its number. */
  readonly isUnlucky?: (call: number) => boolean;
  /** How often the pace of the row is read. */
  readonly readEveryMs?: number;
}

export interface SimulatedCall {
  readonly atMs: number;
  readonly isRefused: boolean;
}

export interface SimulatedCalls {
  readonly calls: SimulatedCall[];
  /** When the refusals first left nothing but a hold. */
  readonly heldAtMs: number | undefined;
  readonly learned: LearnedPace;
}

type Event = { readonly atMs: number; readonly run: () => void };

/** Calls the provider without a pause, as a process does that has work for ever. */
export function simulateProvider(world: ProviderWorld): SimulatedCalls {
  const { rate, allowed, untilMs, answerMs = 300, refusalMs = 40, readEveryMs = 250 } = world;
  const { lateness = () => 0, isUnlucky = () => false } = world;
  const calls: { atMs: number; isRefused: boolean }[] = [];
  const events: Event[] = [];
  const recent = createRecentCalls();
  const accepted: number[] = [];
  let nowMs = 0;
  let heldAtMs: number | undefined;
  let learned: LearnedPace = {
    marginMs: initialMarginMs,
    provider: undefined,
    refusedAtMs: undefined,
    refusals: 0,
  };
  const toPace = (atMs = nowMs) => ({
    requestsPerSecond: Math.min(rate, providerRateAt(learned.provider, atMs)),
    marginMs: learned.marginMs,
  });
  let pace = toPace();
  const pacer = createPacer(pace, 0);

  function after(ms: number, run: () => void): void {
    const atMs = nowMs + ms;
    const index = events.findLastIndex((event) => event.atMs <= atMs);
    events.splice(index + 1, 0, { atMs, run });
  }

  function readPace(): void {
    pace = toPace();
    pacer.setPace(pace);
  }

  function readOnAndOn(): void {
    readPace();
    after(readEveryMs, readOnAndOn);
  }

  function send(): void {
    const atMs = nowMs;
    const call = { atMs, isRefused: false };
    const number = calls.push(call);
    pacer.send(atMs);
    pacer.leave(atMs);
    recent.sent(atMs);
    after(lateness(number), () => {
      while ((accepted[0] ?? Infinity) <= nowMs - 1000) accepted.shift();
      call.isRefused = accepted.length >= allowed(nowMs) || isUnlucky(number);
      if (call.isRefused) after(refusalMs, () => hearRefusal(atMs));
      else {
        accepted.push(nowMs);
        after(answerMs, () => recent.answered(atMs));
      }
    });
  }

  function hearRefusal(askedAtMs: number): void {
    const before = recent.refused(askedAtMs);
    if (askedAtMs <= (learned.refusedAtMs ?? -Infinity)) return;
    const callsAllowed = toPace(askedAtMs).requestsPerSecond;
    learned = afterRefusal(learned, { by: "provider", askedAtMs, nowMs, callsAllowed, before });
    if (learned.refusals >= refusalsForHold) heldAtMs ??= nowMs;
    readPace();
  }

  readOnAndOn();
  while (nowMs < untilMs) {
    const next = events[0];
    const sendsAtMs = Math.max(nowMs, pacer.nextAt());
    if (next !== undefined && next.atMs <= sendsAtMs) {
      nowMs = next.atMs;
      events.shift();
      next.run();
    } else {
      nowMs = sendsAtMs;
      send();
    }
  }
  return { calls, heldAtMs, learned };
}
