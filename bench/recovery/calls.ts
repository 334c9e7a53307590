import type { LoggedCall } from "../../src/simulator/world/call-log.ts";

/** What the simulator's log tells. Moments are of its clock, ms. */
export type Calls = readonly LoggedCall[];

const windowMs = 1000;

function isAccepted({ status }: LoggedCall): boolean {
  return status !== 429;
}

/** How many came though their instance had had as many in the second before as it allows, refused ones included. */
export function countOverBudget(calls: Calls, requestsPerSecond: number): number {
  return [...byInstance(calls).values()].reduce((sum, of) => {
    const over = of.filter(({ at }, index) => {
      const before = of[index - requestsPerSecond];
      return before !== undefined && at - before.at < windowMs;
    });
    return sum + over.length;
  }, 0);
}

export function countRefused(calls: Calls): number {
  return calls.filter((call) => !isAccepted(call)).length;
}

/** Calls for a chat that had been called before, refused ones aside. */
export function countDoubled(calls: Calls): number {
  const accepted = calls.filter(isAccepted);
  return accepted.length - new Set(accepted.map(toChat)).size;
}

/** Names one contact. */
export function toChat({ instanceId, chatId }: Pick<LoggedCall, "instanceId" | "chatId">): string {
  return `${instanceId} ${chatId}`;
}

export function select(calls: Calls, fromMs: number, toMs: number): Calls {
  return calls.filter(({ at }) => at >= fromMs && at < toMs);
}

/** In order of time. */
export function byInstance(calls: Calls): Map<string, LoggedCall[]> {
  const instances = new Map<string, LoggedCall[]>();
  for (const call of calls) {
    const known = instances.get(call.instanceId);
    if (known === undefined) instances.set(call.instanceId, [call]);
    else known.push(call);
  }
  return instances;
}

const stepMs = 100;

/**
 * Seconds from a moment until the end of the first second in which as many calls were accepted as `perSecond`. Undefined: there is
 * none up to `untilMs`.
 */
export function findRecovery(
  calls: Calls,
  {
    fromMs,
    untilMs,
    perSecond,
  }: { readonly fromMs: number; readonly untilMs: number; readonly perSecond: number },
): number | undefined {
  const accepted = calls.filter(isAccepted);
  for (let at = fromMs; at + windowMs <= untilMs; at += stepMs) {
    if (select(accepted, at, at + windowMs).length >= perSecond) return (at + windowMs - fromMs) / 1000;
  }
  return undefined;
}

/** Accepted calls a second. */
export function toRate(calls: Calls, fromMs: number, toMs: number): number {
  return (select(calls, fromMs, toMs).filter(isAccepted).length * 1000) / (toMs - fromMs);
}
